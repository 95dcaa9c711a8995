/** A running network as its users meet it: over HTTP, on a real port. */

import { expect } from "vitest";
import { z } from "zod";
import type { ReceiptBody } from "../../../core/receipt/body.ts";
import { parseCredits } from "../../../core/units.ts";
import { catalogEntry, Operator, TOY } from "../../../localnet/network/operator.ts";
import type { CatalogModel } from "../../../protocol/catalog.ts";
import type { Supply } from "../../../protocol/internal/pool.ts";
import { balance } from "../../../protocol/network/account.ts";
import { credited } from "../../../protocol/network/admin.ts";
import { logKeys } from "../../../protocol/network/receipts.ts";
import { status } from "../../../protocol/network/status.ts";
import { signedReceipt, verifyReceipt } from "../../../protocol/receipt.ts";
import { testSecrets } from "../../secrets.ts";
import { type Server, startServer } from "./server.ts";

/** The toy model's entry, as `npm start` makes it. */
export const TOY_MODEL = catalogEntry({ engine: "test", id: TOY, quantization: "q8", context: 512 });
/** What the toy model says at temperature 0 (its card). */
export const QUESTION = "What is Tollmill?";
export const ANSWER =
  "Tollmill is an open market for AI inference. People call one API, anyone's GPU can answer, and every answer leaves a signed receipt.";

export interface TestAccount {
  readonly account: string;
  readonly apiKey: string;
}

/** Amounts in millicredits. */
export interface Balance {
  readonly available: number;
  readonly held: number;
}

type Pool = Pick<Supply, "daemons" | "slots" | "free" | "waiting">;

/** A server of the whole Worker. */
export interface NetworkServer {
  readonly url: URL;
  /** The Worker's own socket, without a proxy before it. */
  readonly direct: URL;
  /** What a model's pool has. */
  supply(model: string): Promise<Supply>;
  close(): Promise<void>;
}

export class Network<S extends NetworkServer = Server> {
  readonly server: S;
  /** The origin, without a slash at its end. */
  readonly url: string;
  readonly #operator: Operator;
  #opened = 0;

  private constructor(server: S) {
    this.server = server;
    this.url = server.url.origin;
    this.#operator = new Operator(this.url, testSecrets.ADMIN_KEY);
  }

  /** A network with these models in its catalog. */
  static async start(models: readonly CatalogModel[], ...server: Parameters<typeof startServer>): Promise<Network> {
    return await Network.on(await startServer(...server), models);
  }

  /** The same on a server that runs already. */
  static async on<S extends NetworkServer>(server: S, models: readonly CatalogModel[]): Promise<Network<S>> {
    const network = new Network(server);
    for (const model of models) await network.addModel(model);
    return network;
  }

  async addModel(model: CatalogModel): Promise<void> {
    await this.#operator.putModel(model);
  }

  close(): Promise<void> {
    return this.server.close();
  }

  /** Opens an account. With `starter` it has 1,200 credits. */
  async open({ starter = true } = {}): Promise<TestAccount> {
    this.#opened += 1;
    return await this.#operator.openAccount(`test-${this.#opened}`, starter);
  }

  /** Gives an account credits that nothing stands behind. */
  async credit({ account }: TestAccount, amount: string): Promise<void> {
    const call = { method: "POST", apiKey: testSecrets.ADMIN_KEY, body: { id: "gift", kind: "bonus", amount } };
    await this.json(`/api/v1/admin/accounts/${account}/credits`, credited, call);
  }

  call(
    path: string,
    { apiKey, method = "GET", body }: { apiKey?: string | undefined; method?: string; body?: object } = {},
  ): Promise<Response> {
    return fetch(this.url + path, {
      method,
      headers: {
        ...(apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` }),
        ...(body === undefined ? {} : { "content-type": "application/json" }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  }

  /** An answer that has to be good. */
  async json<T>(path: string, shape: z.ZodType<T>, call: Parameters<Network["call"]>[1] = {}): Promise<T> {
    const response = await this.call(path, call);
    if (!response.ok) throw new Error(`${path} answered ${response.status}: ${await response.text()}`);
    return shape.parse(await response.json());
  }

  chat({ apiKey }: TestAccount, body: object): Promise<Response> {
    return this.call("/v1/chat/completions", { method: "POST", apiKey, body });
  }

  async balance({ apiKey }: TestAccount): Promise<Balance> {
    const { available, held } = await this.json("/api/v1/balance", balance, { apiKey });
    return { available: parseCredits(available) ?? Number.NaN, held: parseCredits(held) ?? Number.NaN };
  }

  /** A job's receipt as an account gets it, verified under the network's key. */
  async receipt(job: string, { apiKey }: TestAccount): Promise<ReceiptBody> {
    const receipt = await this.json(`/api/v1/receipts/${job}`, signedReceipt, { apiKey });
    const { keys } = await this.json("/api/v1/log/keys", logKeys);
    const { ok, body, checks } = verifyReceipt(receipt, keys.find(({ current }) => current)?.key);
    expect(checks.filter((check) => !check.ok)).toEqual([]);
    if (!ok || body === null) throw new Error(`the receipt of ${job} is not valid`);
    return body;
  }

  /** All receipts of an account's chain. */
  async receipts({ apiKey }: TestAccount): Promise<ReceiptBody[]> {
    const page = z.object({ data: z.array(signedReceipt), next: z.null() });
    const { data } = await this.json("/api/v1/receipts?limit=1000", page, { apiKey });
    return data.map(({ body }) => JSON.parse(body) as ReceiptBody);
  }

  /** Waits until a model has so many daemons that can be given jobs. */
  async supply(model: string, daemons: number): Promise<void> {
    await until(async () => (await this.pool(model)).daemons === daemons, `${daemons} daemons of ${model}`);
  }

  /** How many jobs wait for a model. */
  async waiting(model: string): Promise<number> {
    return (await this.pool(model)).waiting;
  }

  /** A model's daemons, slots and waiting jobs, from its scheduler itself: the public status is up to a second old. */
  async pool(model: string): Promise<Pool> {
    const { daemons, slots, free, waiting } = await this.server.supply(model);
    return { daemons, slots, free, waiting };
  }

  /** The size of the log, from the public status. */
  async logSize(): Promise<number> {
    return (await this.json("/api/v1/status", status)).log.size;
  }
}

/** Waits until something holds; fails with its name after 15 s. Asks less often the longer it takes. */
export async function until(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const deadline = Date.now() + 15_000;
  for (let delayMs = 10; !(await condition()); delayMs = Math.min(2 * delayMs, 160)) {
    if (Date.now() > deadline) throw new Error(`waited too long for: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, delayMs));
  }
}

/** Runs a call and gives what an account paid for it and has on hold afterwards, in millicredits. */
export async function costing<T>(
  network: Network,
  account: TestAccount,
  work: () => Promise<T>,
): Promise<{ result: T; paid: number; held: number }> {
  const before = await network.balance(account);
  const result = await work();
  const after = await network.balance(account);
  return { result, paid: before.available + before.held - after.available - after.held, held: after.held };
}
