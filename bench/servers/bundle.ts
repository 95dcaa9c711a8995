/** Bundles Workers as a deployment would: by wrangler, without sending anything anywhere. */

import { execFile } from "node:child_process";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

export const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** Variables that keep wrangler from calling anybody. */
export const QUIET = {
  WRANGLER_SEND_METRICS: "false",
  WRANGLER_SEND_ERROR_REPORTS: "false",
  WRANGLER_HIDE_BANNER: "true",
  CLOUDFLARE_CF_FETCH_ENABLED: "false",
  CI: "1",
} as const;

/** Bundles the Worker of this checkout, or another entry with the same configuration, and gives its script. */
export async function bundle(folder: string, entry: string | null): Promise<string> {
  const args = [join(ROOT, "node_modules", "wrangler", "bin", "wrangler.js"), "deploy"];
  if (entry !== null) args.push(entry);
  args.push("--config", join(ROOT, "wrangler.toml"), "--dry-run", "--outdir", folder);
  await promisify(execFile)(process.execPath, args, { cwd: ROOT, env: { ...process.env, ...QUIET } });
  return await readFile(join(folder, entry === null ? "index.js" : "entry.js"), "utf8");
}

/** The Worker as it is deployed. */
export function bundleWorker(folder: string): Promise<string> {
  return bundle(join(folder, "plain"), null);
}

/**
 * The Worker with counters around its objects and bindings, and routes that measure single parts. The entry module that
 * puts them around is written here and imports the Worker as it is, so that nothing of the Worker knows of it.
 */
export async function bundleCounted(folder: string): Promise<string> {
  const file = (path: string) => JSON.stringify(join(ROOT, path));
  const classes = ["Account", "AccountSlice", "Relay", "Scheduler"];
  const entry = join(folder, "entry", "entry.ts");
  await mkdir(join(folder, "entry"), { recursive: true });
  await writeFile(
    entry,
    `import { env } from "cloudflare:workers";
import { LIMITS } from ${file("core/limits.ts")};
import worker, { ${classes.map((name) => `${name} as Plain${name}`).join(", ")} } from ${file("workers/index.ts")};
import { countBindings, counted } from ${file("bench/edge/counters.ts")};
import { withRoutes } from ${file("bench/edge/routes.ts")};
// One account is asked by one key as fast as it can answer.
Object.assign(LIMITS, { requestsPerMinute: 1e9 });
countBindings(env);
${classes.map((name) => `export const ${name} = counted("${name}", Plain${name});`).join("\n")}
export default withRoutes(worker);
`,
  );
  return await bundle(join(folder, "counted"), entry);
}

/** Answers at once: what the runtime alone costs. */
export const HELLO = `export default { async fetch(request) { await request.text(); return new Response("hello"); } };`;

/** Passes everything on: what a gateway on Workers costs at least. */
export const PROXY = `export default {
  fetch(request, env) {
    const url = env.UPSTREAM + new URL(request.url).pathname;
    return fetch(url, { method: request.method, headers: request.headers, body: request.body });
  },
};`;
