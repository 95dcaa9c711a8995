// Runs every check in order and stops at the first that fails. `npm test -- lint unit` runs only the named ones, and
// a path among the names narrows the tests: `npm test -- workers test/workers/account.test.ts`.

import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const temp = mkdtempSync(join(tmpdir(), "tollmill-test-"));

// Nothing in a test run reports usage, fetches account data or advertises a newer version.
const env = {
  ...process.env,
  WRANGLER_SEND_METRICS: "false",
  WRANGLER_SEND_ERROR_REPORTS: "false",
  WRANGLER_HIDE_BANNER: "true",
  CLOUDFLARE_CF_FETCH_ENABLED: "false",
  DO_NOT_TRACK: "1",
  ...(process.stdout.isTTY ? {} : { NO_COLOR: "1" }),
};

const houses = ["core", "protocol", "durable-objects", "db", "queues", "workers", "daemon", "web", "localnet", "bench"];
const holdsSource = (folder) =>
  existsSync(join(root, folder)) &&
  readdirSync(join(root, folder), { recursive: true }).some((file) => /\.(ts|tsx|mjs)$/.test(file));

/** The type checks. A part without any source yet has nothing to check, and tsc would call that an error. */
const typeChecks = [
  ["wrangler", "types", "--check"],
  ...(holdsSource("core") || holdsSource("protocol") ? [["tsc", "-p", "tsconfig.core.json"]] : []),
  ["tsc", "-p", "tsconfig.json"],
  ["tsc", "-p", "tsconfig.node.json"],
];

// Each step is a list of commands that don't depend on each other; two of them run at a time.
const steps = {
  format: [["biome", "ci", "--error-on-warnings", `--colors=${process.stdout.isTTY ? "force" : "off"}`]],
  lint: [["oxlint", "--type-aware", "--deny-warnings"]],
  types: typeChecks,
  unused: [["knip", "--no-progress"]],
  imports: [["depcruise", "--config", ".dependency-cruiser.cjs", ...houses.filter(holdsSource), "test"]],
  build: [["wrangler", "deploy", "--dry-run", "--outdir", join(temp, "worker")]],
};
// The tests' projects: those of a row run at the same time. Kills pass the same points however busy the machine is, and what
// runs inside workerd takes one processor; a server whose speed matters has the machine for itself.
const rows = [[["unit", "workers"], ["kills"]], [["e2e", "browser"]]];
const projects = rows.flat(2);

/** Runs a program of node_modules/.bin. Its output is kept for the case that it fails, unless it is shown live. */
function run([program, ...args], { live = false } = {}) {
  return new Promise((resolve) => {
    const bin = join(root, "node_modules", ".bin", program);
    const child = spawn(bin, args, { cwd: root, env, stdio: live ? "inherit" : ["ignore", "pipe", "pipe"] });
    let output = "";
    child.stdout?.on("data", (data) => (output += data));
    child.stderr?.on("data", (data) => (output += data));
    child.on("error", (error) => resolve({ passed: false, output: String(error) }));
    child.on("close", (code) => resolve({ passed: code === 0, output: `${program} ${args.join(" ")}\n${output}` }));
  });
}

async function runStep(commands) {
  const waiting = [...commands];
  const failures = [];
  const worker = async () => {
    for (let command = waiting.shift(); command; command = waiting.shift()) {
      const { passed, output } = await run(command);
      if (!passed) failures.push(output);
    }
  };
  await Promise.all([worker(), worker()]);
  return failures;
}

/** Runs the tests of projects, or some files of them, and returns their totals. */
async function runTests(chosen, files) {
  // Of files nobody knows here whose they are, and vitest fails where a project of its own has none of them.
  if (files.length > 0) return await runVitest(chosen, files);
  const totals = { passed: 0, failed: 0, skipped: 0 };
  for (const row of rows) {
    const runs = row.map((names) => names.filter((name) => chosen.includes(name))).filter(({ length }) => length > 0);
    for (const more of await Promise.all(runs.map((names, index) => runVitest(names, [], index === 0)))) {
      for (const name of Object.keys(totals)) totals[name] += more[name];
    }
  }
  return totals;
}

/** Runs vitest. What is not shown live is shown at its end. A run that fails without a failing test counts as one failure. */
async function runVitest(names, files, live = true) {
  const report = join(temp, `${names.join("-")}.json`);
  const args = ["run", "--reporter=default", "--reporter=json", `--outputFile.json=${report}`];
  const command = ["vitest", ...args, ...names.flatMap((name) => ["--project", name]), ...files];
  const { passed, output } = await run(command, { live });
  if (!live) console.log(output);
  const totals = existsSync(report) ? JSON.parse(readFileSync(report, "utf8")) : {};
  const failed = totals.numFailedTests ?? 0;
  return {
    passed: totals.numPassedTests ?? 0,
    failed: passed ? failed : Math.max(failed, 1),
    skipped: (totals.numPendingTests ?? 0) + (totals.numTodoTests ?? 0),
  };
}

async function timed(name, work) {
  const start = performance.now();
  const result = await work();
  return { result, line: `${name.padEnd(8)} ${((performance.now() - start) / 1000).toFixed(1).padStart(6)} s` };
}

async function main(args) {
  const files = args.filter((arg) => arg.includes("/"));
  const names = args.filter((arg) => !arg.includes("/"));
  const known = [...Object.keys(steps), ...projects];
  const unknown = names.filter((name) => !known.includes(name));
  if (unknown.length > 0) {
    console.error(`There is no step called ${unknown.join(", ")}; there are ${known.join(", ")}.`);
    return { passed: 0, failed: 1 };
  }
  const isChosen = (name) =>
    names.length === 0 ? files.length === 0 || projects.includes(name) : names.includes(name);

  for (const [name, commands] of Object.entries(steps).filter(([step]) => isChosen(step))) {
    const { result: failures, line } = await timed(name, () => runStep(commands));
    console.log(`${line}  ${failures.length === 0 ? "ok" : "FAILED"}`);
    if (failures.length > 0) {
      console.log(`\n${failures.join("\n")}`);
      return { passed: 0, failed: failures.length };
    }
  }
  const chosen = projects.filter(isChosen);
  if (chosen.length === 0) return { passed: 0, failed: 0 };
  const { result: totals, line } = await timed("tests", () => runTests(chosen, files));
  console.log(
    `${line}  ${totals.failed === 0 ? "ok" : "FAILED"}${totals.skipped ? `, ${totals.skipped} skipped` : ""}`,
  );
  return totals;
}

const totals = await main(process.argv.slice(2));
rmSync(temp, { recursive: true, force: true });
// This is the last line on purpose: whoever runs this by machine reads it.
console.log(`${totals.passed} passed, ${totals.failed} failed`);
process.exitCode = totals.failed === 0 ? 0 : 1;
