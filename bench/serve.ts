/** A process that serves one Worker in miniflare, on a direct socket: the development proxy would cost more than the Worker. */

import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { convertV4MiniflareOptions, Miniflare } from "miniflare";
import { unstable_getMiniflareWorkerOptions } from "wrangler";
import { answerCalls } from "./processes/calls.ts";
import { ROOT } from "./servers/bundle.ts";

export interface ServeCall {
  readonly script: string;
  /** Where the Worker's state is kept. */
  readonly folder: string;
  /** Whether it has the bindings of wrangler.toml. */
  readonly whole: boolean;
  /** Its own variables and secrets. */
  readonly bindings: Record<string, string>;
  /** Whether V8's inspector listens, so that its heap can be measured. */
  readonly inspected?: boolean;
}

/** A query of D1 with its parameters. */
export interface RowsCall {
  readonly sql: string;
  readonly values: readonly (string | number)[];
}

type WorkerOptions = ReturnType<typeof unstable_getMiniflareWorkerOptions>["workerOptions"];

const NAME = "bench";
let miniflare: Miniflare | null = null;

async function serve({ script, folder, whole, bindings, inspected }: ServeCall): Promise<string> {
  // wrangler looks for the secrets that wrangler.toml requires in the environment.
  Object.assign(process.env, bindings);
  const worker: Partial<WorkerOptions> = whole
    ? unstable_getMiniflareWorkerOptions(join(ROOT, "wrangler.toml")).workerOptions
    : { compatibilityDate: "2026-10-01" };
  // The platform serves static files in front of the Worker; they are no part of a job.
  delete worker.assets;
  const modules = [{ type: "ESModule" as const, path: join(folder, "index.mjs"), contents: script }];
  miniflare = new Miniflare(
    convertV4MiniflareOptions({
      host: "127.0.0.1",
      port: 0,
      resourcePersistencePath: join(folder, "state"),
      // Events of the edge would be printed; a deployment without logs drops them too.
      handleStructuredLogs: () => {},
      ...(inspected === true ? { inspectorPort: 0 } : {}),
      workers: [
        {
          ...worker,
          name: NAME,
          modules,
          modulesRoot: folder,
          bindings: Object.assign({}, worker.bindings, bindings),
          unsafeDirectSockets: [{ host: "127.0.0.1", port: 0 }],
        },
      ],
    }),
  );
  await miniflare.ready;
  if (whole) await migrate(miniflare);
  return (await miniflare.unsafeGetDirectURL(NAME)).origin;
}

/** Applies the migrations of D1 in their order. */
async function migrate(server: Miniflare): Promise<void> {
  const db = await server.getD1Database("DB");
  const folder = join(ROOT, "d1-migrations");
  const files = (await readdir(folder)).filter((name) => name.endsWith(".sql")).sort();
  for (const name of files) {
    const statements = (await readFile(join(folder, name), "utf8")).split("--> statement-breakpoint");
    await db.batch(
      statements
        .map((sql) => sql.trim())
        .filter((sql) => sql !== "")
        .map((sql) => db.prepare(sql)),
    );
  }
}

/** The address at which V8's inspector speaks of the Worker's isolate. */
async function inspector(): Promise<string> {
  return `${(await running().getInspectorURL()).href}core:user:${NAME}`;
}

async function rows({ sql, values }: RowsCall): Promise<unknown[]> {
  const db = await running().getD1Database("DB");
  return (
    await db
      .prepare(sql)
      .bind(...values)
      .all()
  ).results;
}

/** An object of R2 as text; null when it is not there. */
async function object(key: string): Promise<string | null> {
  const bucket = await running().getR2Bucket("SEGMENTS");
  return (await (await bucket.get(key))?.text()) ?? null;
}

function running(): Miniflare {
  if (miniflare === null) throw new Error("nothing is served yet");
  return miniflare;
}

answerCalls({ serve, inspector, rows, object, stop: () => miniflare?.dispose() });
