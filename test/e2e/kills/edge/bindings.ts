/** Points around every call that a part of the Worker makes through its bindings. */

import { between } from "./points.ts";

type Method = (this: unknown, ...args: unknown[]) => unknown;
type Bindings = Readonly<Record<string, unknown>>;

const OBJECTS = { ACCOUNT: "Account", ACCOUNT_SLICE: "AccountSlice", SCHEDULER: "Scheduler", RELAY: "Relay" } as const;
/** What a call of D1 reads or writes: `SELECT models`. Rows that come in as a parameter are no table. */
const STATEMENT = /^\s*(\w+)[\s\S]*?\b(?:from|into|update|join)\s+"?(?!json_each)(\w+)/i;

/** What a day's allotments follow from is read once in a process's life, by whichever call comes first, and changes nothing. */
const UNWATCHED = new Set(["SELECT daily_epochs"]);

/** The harness, which remembers what the queue was given: the local queue forgets it with its process. */
export interface Harness {
  fetch(url: string, init: { method: "POST"; body: string }): Promise<unknown>;
}

const known = new WeakMap<object, Map<string, Bindings>>();

/** The bindings of one part of the Worker, with points named after it. The same ones each time, as the Worker keeps them. */
export function bindingsOf(owner: string, env: Bindings): Bindings {
  const owners = known.get(env) ?? new Map<string, Bindings>();
  known.set(env, owners);
  const wrapped = owners.get(owner) ?? wrapBindings(owner, env);
  owners.set(owner, wrapped);
  return wrapped;
}

function wrapBindings(owner: string, env: Bindings): Bindings {
  const objects = Object.entries(OBJECTS).map(([binding, name]) => {
    const namespace = env[binding] as { getByName(id: string): object };
    return [binding, { getByName: (id: string) => callsOf(owner, name, namespace.getByName(id)) }];
  });
  return {
    ...env,
    ...Object.fromEntries(objects),
    DB: databaseOf(owner, env["DB"] as object),
    SEGMENTS: callsOf(owner, "R2", env["SEGMENTS"] as object),
    RECEIPTS: callsOf(owner, "queue", rememberedQueue(env)),
    DEAD_LETTERS: callsOf(owner, "dead letters", env["DEAD_LETTERS"] as object),
  };
}

/** Something whose every method is called between two points. */
function callsOf(owner: string, name: string, target: object): object {
  return new Proxy(target, {
    get: (_, method) => {
      const call = Reflect.get(target, method) as Method;
      if (typeof method === "symbol") return call;
      const what = `${name}.${method}`;
      return (...args: unknown[]) => around(owner, what, () => Reflect.apply(call, target, args));
    },
  });
}

function around<T>(owner: string, what: string, work: () => T | Promise<T>): Promise<T> {
  return between(`${owner}: before ${what}`, work, `${owner}: after ${what}`);
}

function rememberedQueue(env: Bindings): object {
  const queue = env["RECEIPTS"] as { send: Method };
  const harness = env["HARNESS"] as Harness;
  return {
    async send(message: unknown, options: unknown): Promise<void> {
      await harness.fetch("http://harness/queued", { method: "POST", body: JSON.stringify(message) });
      await Reflect.apply(queue.send, queue, [message, options]);
    },
  };
}

interface Database {
  prepare(sql: string): object;
  batch(statements: object[]): Promise<unknown>;
}

/** The statement that stands behind a wrapped one, and its text. */
const statements = new WeakMap<object, { readonly statement: object; readonly sql: string }>();

function databaseOf(owner: string, db: object): Database {
  const { prepare, batch } = db as { prepare: Method; batch: Method };
  return {
    prepare: (sql) => statementOf(owner, sql, Reflect.apply(prepare, db, [sql]) as object),
    batch: (wrapped) => {
      const plain = wrapped.flatMap((one) => statements.get(one) ?? []);
      const label = labelOf(plain[0]?.sql ?? "");
      const work = () => Reflect.apply(batch, db, [plain.map(({ statement }) => statement)]) as Promise<unknown>;
      return UNWATCHED.has(label) ? work() : around(owner, `D1 batch ${label}`, work);
    },
  };
}

function statementOf(owner: string, sql: string, statement: object): object {
  const wrapped = new Proxy(statement, {
    get: (_, method) => {
      const call = Reflect.get(statement, method) as Method;
      if (method === "bind") {
        return (...args: unknown[]) => statementOf(owner, sql, Reflect.apply(call, statement, args) as object);
      }
      if (typeof method === "symbol") return call;
      return (...args: unknown[]) => around(owner, `D1 ${labelOf(sql)}`, () => Reflect.apply(call, statement, args));
    },
  });
  statements.set(wrapped, { statement, sql });
  return wrapped;
}

function labelOf(sql: string): string {
  const [, verb = "statement", table = ""] = STATEMENT.exec(sql) ?? [];
  return `${verb.toUpperCase()} ${table}`.trim();
}
