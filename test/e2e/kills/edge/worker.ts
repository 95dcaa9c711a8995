/** Points at the beginning and the end of everything that the platform calls, and the routes by which a test chooses one. */

import { bindingsOf, type Harness } from "./bindings.ts";
import { keepTime, type ObjectContext } from "./clock.ts";
import { arm, between, breakOnce, type Fault, hold, passes, record } from "./points.ts";

type Method = (this: unknown, ...args: unknown[]) => unknown;
type Class = new (...args: never[]) => object;
type Env = Readonly<Record<string, unknown>>;

interface Batch {
  readonly queue: string;
  readonly messages: readonly { readonly body: unknown }[];
  ackAll(): void;
}
interface Database {
  prepare(sql: string): { bind(...values: unknown[]): { all(): Promise<{ readonly results: unknown[] }> } };
}
interface Handler {
  fetch(request: Request, env: never, context: never): Response | Promise<Response>;
  queue(batch: never, env: never, context: never): Promise<void>;
  scheduled(event: never, env: never, context: never): Promise<void>;
}

export interface Pending {
  /** Transfers that the other account has not confirmed. */
  readonly outgoing: number;
  /** How long until its alarm rings, or null when none is set. */
  readonly alarmMs: number | null;
}

/** Changes nothing, and tests ask for it while they wait. */
const UNWATCHED = new Set(["constructor", "supply"]);

/** An object's class whose every method begins and ends with a point, and whose bindings have points too. */
export function mortal<T extends Class>(name: string, base: T): T {
  for (const [method, value] of methodsOf(base.prototype as object)) {
    if (UNWATCHED.has(method)) continue;
    const wrapped: Method = function (...args) {
      const what = `${name}.${method}${detailOf(method, args)}`;
      return between(`${what}: begins`, () => Reflect.apply(value, this, args), `${what}: ends`);
    };
    Reflect.defineProperty(base.prototype, method, { value: wrapped, configurable: true, writable: true });
  }
  const Base = base as unknown as new (context: object, env: Env) => object;
  const owner = name.toLowerCase();
  const Mortal = class extends Base {
    constructor(context: ObjectContext, env: Env) {
      keepTime(owner, context);
      super(context, bindingsOf(owner, env));
    }

    /** Takes this object's memory away, as the loss of its machine does. */
    async lose(): Promise<void> {
      (Reflect.get(this, "ctx") as ObjectContext).abort("lost");
    }

    /** What an account has to do yet. */
    async pending(): Promise<Pending> {
      const { storage } = Reflect.get(this, "ctx") as ObjectContext;
      const { outgoing } = storage.sql.exec("SELECT count(*) AS outgoing FROM outbox").one() as Pick<
        Pending,
        "outgoing"
      >;
      const due = await storage.getAlarm();
      return { outgoing, alarmMs: due === null ? null : due - Date.now() };
    }
  };
  return Mortal as unknown as T;
}

/** The methods of an object's class and of those that it extends, up to the platform's. */
function methodsOf(prototype: object): Map<string, Method> {
  const methods = new Map<string, Method>();
  for (let level = prototype; parentOf(level) !== Object.prototype; level = parentOf(level)) {
    for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(level))) {
      if (typeof value === "function" && !methods.has(name)) methods.set(name, value as Method);
    }
  }
  return methods;
}

const parentOf = (level: object): object => Object.getPrototypeOf(level) as object;

/** What tells calls of one method apart: the type of a message, or what a request asks for. */
function detailOf(method: string, args: readonly unknown[]): string {
  if (method === "webSocketMessage") return `(${messageType(args[1])})`;
  if (method !== "fetch") return "";
  return (args[0] as Request).headers.get("upgrade") === null ? "" : "(socket)";
}

function messageType(raw: unknown): string {
  return typeof raw === "string" ? String((JSON.parse(raw) as { type?: unknown }).type) : "frame";
}

/** What a socket sends is on its way at once, so there is a point before it alone. */
export function watchSockets(prototype: object): void {
  const send = Reflect.get(prototype, "send") as Method;
  const wrapped: Method = function (...args) {
    if (passes(`relay: sends ${messageType(args[0])}`)) Reflect.apply(send, this, args);
  };
  Reflect.defineProperty(prototype, "send", { value: wrapped, configurable: true, writable: true });
}

/** The Worker with points, and with the test's own routes in front of it. */
export function withPoints(worker: Handler): Omit<Handler, "scheduled"> {
  return {
    async fetch(request: Request, env: Env, context) {
      const path = new URL(request.url).pathname;
      if (path === "/kills/poke") return await poke(worker, env);
      const route = ROUTES[path];
      if (route !== undefined) return await route(request, env);
      const what = `gateway: ${request.method} ${path.replace(/[0-9A-Za-z]{22,}/g, ":id")}`;
      const inner = bindingsOf("gateway", env) as never;
      return await between(`${what} begins`, () => worker.fetch(request, inner, context), `${what} ends`);
    },
    async queue(batch: Batch, env: Env, context) {
      const acknowledged: unknown[] = [];
      const watched = new Proxy(batch, {
        get: (_, name) =>
          name === "ackAll" ? () => acknowledge(batch, acknowledged) : (Reflect.get(batch, name) as unknown),
      });
      const inner = bindingsOf("log", env) as never;
      await between("log: begins", () => worker.queue(watched as never, inner, context), "log: ends");
      const harness = env["HARNESS"] as Harness;
      await harness.fetch("http://harness/acknowledged", { method: "POST", body: JSON.stringify(acknowledged) });
    },
  };
}

/** What the platform's clock does. */
async function poke(worker: Handler, env: Env): Promise<Response> {
  await worker.scheduled(undefined as never, bindingsOf("cron", env) as never, undefined as never);
  return new Response();
}

function acknowledge(batch: Batch, acknowledged: unknown[]): void {
  if (!passes("log: acknowledges")) return;
  batch.ackAll();
  acknowledged.push(...batch.messages.map(({ body }) => body));
}

const ROUTES: Readonly<Record<string, (request: Request, env: Env) => Promise<Response>>> = {
  async "/kills/record"() {
    record();
    return new Response();
  },
  async "/kills/arm"(request) {
    arm((await request.json()) as Fault);
    return new Response();
  },
  async "/kills/hold"(request) {
    hold((await request.json()) as string | null);
    return new Response();
  },
  async "/kills/break"(request) {
    breakOnce(await request.text());
    return new Response();
  },
  async "/kills/pending"(request, env) {
    const accounts = env["ACCOUNT"] as { getByName(name: string): { pending(): Promise<Pending> } };
    return Response.json(await accounts.getByName(await request.text()).pending());
  },
  async "/kills/lose"(request, env) {
    const schedulers = env["SCHEDULER"] as { getByName(name: string): { lose(): Promise<void> } };
    // The answer is lost with the object.
    await schedulers
      .getByName(await request.text())
      .lose()
      .catch(() => {});
    return new Response();
  },
  /** What a pool has, asked in a way that passes no point and warms no cache. */
  async "/kills/supply"(request, env) {
    const schedulers = env["SCHEDULER"] as { getByName(name: string): { supply(): Promise<object> } };
    return Response.json(await schedulers.getByName(await request.text()).supply());
  },
  /** Rows of D1. */
  async "/kills/rows"(request, env) {
    const { sql, values } = (await request.json()) as { sql: string; values: unknown[] };
    const { results } = await (env["DB"] as Database)
      .prepare(sql)
      .bind(...values)
      .all();
    return Response.json(results);
  },
  /** What the queue was given before its process died, as the platform's queue would still have it. */
  async "/kills/deliver"(request, env) {
    const queue = env["RECEIPTS"] as { send(message: unknown, options: object): Promise<void> };
    await queue.send(await request.json(), { contentType: "json" });
    return new Response();
  },
};
