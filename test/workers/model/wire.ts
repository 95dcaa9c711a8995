/**
 * The calls that accounts get from gateways, schedulers and relays, kept so that they can be made again: the platform may
 * itself repeat a call. An answer can also be lost on its way back, after the account did what it was asked.
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

interface WireEvents {
  lost(): void;
  change(account: string): void;
}

export class Wire {
  readonly spoken: Spoken[] = [];
  readonly #lossy = new Map<Method, boolean>();

  /** Listens to every account. `lost` hears of an answer that goes astray, `change` of every call and answer. */
  intercept(events: WireEvents): void {
    const answer = async (spoken: Spoken, call: () => Promise<unknown>): Promise<unknown> => {
      events.change(spoken.account);
      const result = await call();
      this.spoken.push(spoken);
      events.change(spoken.account);
      const retryable = this.#lossy.get(spoken.method);
      if (retryable === undefined) return result;
      this.#lossy.delete(spoken.method);
      events.lost();
      throw Object.assign(new Error("the answer was lost"), { retryable });
    };
    for (const method of METHODS) {
      const original = Account.prototype[method] as AnyMethod;
      vi.spyOn(Account.prototype, method as "hold").mockImplementation(function (this: Account, ...args) {
        const spoken = { account: nameOf(this), method, args, job: jobOf(args) };
        return answer(spoken, () => Reflect.apply(original, this, args)) as ReturnType<Account["hold"]>;
      });
    }
  }

  /** Loses the next answer to a method; `retryable` is what the platform says of it to the caller. */
  loseAnswer(method: Method, retryable: boolean): void {
    this.#lossy.set(method, retryable);
  }

  loseNothing(): void {
    this.#lossy.clear();
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

  /** Only the network's own calls lose their answers. */
  async #undisturbed<T>(call: () => Promise<T>): Promise<T> {
    const lossy = [...this.#lossy];
    this.#lossy.clear();
    try {
      return await call();
    } finally {
      for (const [method, retryable] of lossy) this.#lossy.set(method, retryable);
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
