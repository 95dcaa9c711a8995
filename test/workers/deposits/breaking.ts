/** Bindings and a chain that break at a chosen step: a call of D1, of an account, or of a node, before or after it is done. */

import { env } from "cloudflare:workers";
import type { Chain } from "../../../workers/deposits/chain.ts";
import type { PaymentNode } from "../../../workers/x402/payment-node.ts";

export class Breaking {
  readonly #at: number;
  readonly #when: "before" | "after";
  #steps = 0;

  constructor(at: number, when: "before" | "after") {
    this.#at = at;
    this.#when = when;
  }

  /** Whether it has come to the chosen step. */
  get hasBroken(): boolean {
    return this.#steps >= this.#at;
  }

  get bindings(): Partial<Env> {
    return { DB: this.#database(env.DB), ACCOUNT: this.#accounts(env.ACCOUNT) };
  }

  chain(chain: Chain): Chain {
    return {
      genesis: () => this.#step(() => chain.genesis()),
      signatures: (address, page) => this.#step(() => chain.signatures(address, page)),
      transaction: (signature) => this.#step(() => chain.transaction(signature)),
    };
  }

  node(node: PaymentNode): PaymentNode {
    return {
      simulate: (bytes) => this.#step(() => node.simulate(bytes)),
      tip: (commitment) => this.#step(() => node.tip(commitment)),
      status: (signature) => this.#step(() => node.status(signature)),
      send: (bytes) => this.#step(() => node.send(bytes)),
    };
  }

  async #step<T>(work: () => Promise<T>): Promise<T> {
    this.#steps += 1;
    const breaks = this.#steps === this.#at;
    if (breaks && this.#when === "before") throw new Error("broken before");
    const result = await work();
    if (breaks) throw new Error("broken after");
    return result;
  }

  readonly #real = new WeakMap<object, D1PreparedStatement>();

  #database(database: D1Database): D1Database {
    return {
      prepare: (text: string) => this.#statement(database.prepare(text)),
      batch: (statements: D1PreparedStatement[]) =>
        this.#step(() => database.batch(statements.map((one) => this.#real.get(one) ?? one))),
    } as unknown as D1Database;
  }

  #statement(statement: D1PreparedStatement): D1PreparedStatement {
    const wrapped = {
      bind: (...values: unknown[]) => this.#statement(statement.bind(...values)),
      all: () => this.#step(() => statement.all()),
      first: () => this.#step(() => statement.first()),
      run: () => this.#step(() => statement.run()),
      raw: () => this.#step(() => statement.raw()),
    } as unknown as D1PreparedStatement;
    this.#real.set(wrapped, statement);
    return wrapped;
  }

  #accounts(accounts: Env["ACCOUNT"]): Env["ACCOUNT"] {
    const getByName = (name: string) => {
      const stub = accounts.getByName(name) as unknown as { credit(command: object): Promise<unknown> };
      return { credit: (command: object) => this.#step(() => stub.credit(command)) };
    };
    return { getByName } as unknown as Env["ACCOUNT"];
  }
}
