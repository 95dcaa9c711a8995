/**
 * The calls that accounts get from gateways, schedulers and relays, kept so that they can be made again: the platform may
 * itself repeat a call. A call can also be lost on its way, or its answer on the way back.
 */

import { env } from "cloudflare:workers";
import { vi } from "vitest";
import type { JobId } from "../../../core/ids.ts";
import type { JobFacts } from "../../../core/receipt/body.ts";
import { Account } from "../../../durable-objects/account/index.ts";
import type { AccountRpc, VoidResult } from "../../../protocol/internal/account.ts";

/** The reason of a void that must never take effect. */
export const OUT_OF_TURN = "out of turn";

export const METHODS = ["hold", "post", "void", "advance"] as const;
export type Method = (typeof METHODS)[number];

type AnyMethod = (...args: unknown[]) => Promise<unknown>;

export interface Spoken {
  readonly account: string;
  readonly method: Method;
  readonly args: readonly unknown[];
  readonly job: JobId;
}

/** Whether a call is lost on its way to the account, or its answer on the way back. */
export const DISTURBED = ["before", "after"] as const;
export type Disturbance = (typeof DISTURBED)[number];

interface WireEvents {
  /** A call or an answer went astray. */
  lost(method: Method): void;
  change(account: string): void;
}

export class Wire {
  readonly spoken: Spoken[] = [];
  readonly #disturbed = new Map<Method, { readonly when: Disturbance; readonly retryable: boolean }>();

  /** Listens to every account. */
  intercept(events: WireEvents): void {
    const answer = async (spoken: Spoken, call: () => Promise<unknown>): Promise<unknown> => {
      events.change(spoken.account);
      const disturbance = this.#disturbed.get(spoken.method);
      this.#disturbed.delete(spoken.method);
      if (disturbance !== undefined) events.lost(spoken.method);
      const lost = Object.assign(new Error("the call was lost"), { retryable: disturbance?.retryable });
      if (disturbance?.when === "before") throw lost;
      const result = await call();
      this.spoken.push(spoken);
      events.change(spoken.account);
      if (disturbance?.when === "after") throw lost;
      return result;
    };
    for (const method of METHODS) {
      const original = Account.prototype[method] as AnyMethod;
      vi.spyOn(Account.prototype, method as "hold").mockImplementation(function (this: Account, ...args) {
        const spoken = { account: nameOf(this), method, args, job: jobOf(args) };
        return answer(spoken, () => Reflect.apply(original, this, args)) as ReturnType<Account["hold"]>;
      });
    }
  }

  /** Disturbs the next call of a method; `retryable` is what the platform says of it to the caller. */
  disturb(method: Method, when: Disturbance, retryable: boolean): void {
    this.#disturbed.set(method, { when, retryable });
  }

  disturbNothing(): void {
    this.#disturbed.clear();
  }

  /** Makes a call again; whether its answer gets through does not matter. */
  async repeat({ account, method, args }: Spoken): Promise<void> {
    const rpc = accountRpc(account);
    await Reflect.apply(rpc[method] as AnyMethod, rpc, args).catch(() => {});
  }

  /** Voids a job out of turn, and gives what the account said. */
  void(account: string, job: JobId, fence: number | null = null): Promise<VoidResult> {
    return this.#undisturbed(() => accountRpc(account).void(job, OUT_OF_TURN, fence));
  }

  /** Posts facts like those of another job for an attempt at this one. */
  async post(account: string, job: JobId, fence: number): Promise<void> {
    const [other] = this.spoken.flatMap(({ method, args }) => (method === "post" ? [args[0] as JobFacts] : []));
    if (other !== undefined) await this.#undisturbed(() => accountRpc(account).post({ ...other, job, fence }));
  }

  /** Only the network's own calls are disturbed. */
  async #undisturbed<T>(call: () => Promise<T>): Promise<T> {
    const disturbed = [...this.#disturbed];
    this.#disturbed.clear();
    try {
      return await call();
    } finally {
      for (const [method, disturbance] of disturbed) this.#disturbed.set(method, disturbance);
    }
  }
}

function accountRpc(account: string): AccountRpc {
  return env.ACCOUNT.getByName(account) as unknown as AccountRpc;
}

function nameOf(account: Account): string {
  return (account as unknown as { ctx: DurableObjectState }).ctx.id.name ?? "";
}

/** Every method's first argument is a job's id or has one. */
function jobOf([first]: readonly unknown[]): JobId {
  return typeof first === "string" ? (first as JobId) : (first as { readonly job: JobId }).job;
}
