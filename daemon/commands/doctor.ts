/** `tollmill doctor`: checks a provider's setup from end to end, and says what to change. */

import { checkEngine } from "../doctor/engine.ts";
import type { Finding } from "../doctor/finding.ts";
import { checkClaims, checkHome, checkKeyFile, checkNode } from "../doctor/machine.ts";
import { checkKey, checkReach, ofFailure, readCatalog } from "../doctor/network.ts";
import { checkSupply } from "../doctor/supply.ts";
import { EXIT, type ExitCode } from "../failure.ts";
import { probeHardware } from "../hardware/probe.ts";
import type { Settings } from "../network/settings.ts";
import { type Context, networkOf, settingsOf } from "./context.ts";
import { type DaemonFlags, homeOf, openEngine, serveOptions } from "./serve.ts";

/** Ends with the exit code of the first error, or with success where a daemon can be given jobs. */
export async function diagnose(context: Context, flags: DaemonFlags): Promise<ExitCode> {
  const { terminal } = context;
  let exit: ExitCode = EXIT.ok;
  for await (const finding of findingsOf(context, flags)) {
    if (finding.level === "error" && exit === EXIT.ok) exit = finding.exit;
    const { check, level, what, fix } = finding;
    if (flags.json === true) terminal.out(JSON.stringify({ check, level, what, fix }));
    else for (const line of linesOf(context, finding)) terminal.out(line);
  }
  return exit;
}

async function* findingsOf(context: Context, flags: DaemonFlags): AsyncGenerator<Finding> {
  const home = homeOf(flags);
  yield checkNode(process.versions.node);
  yield await checkHome(home);
  const { finding: keyFile, daemon } = await checkKeyFile(home);
  yield keyFile;
  yield await checkClaims(home);

  const { findings, catalog, settings, daemons } = await askNetwork(context, flags);
  yield* findings;
  yield* await engineFindings(context, flags, catalog);
  if (daemon !== null && daemons !== null) yield* await checkSupply(settings, daemon, daemons);
}

interface Asked {
  readonly findings: Finding[];
  readonly settings: Settings;
  /** Null where they cannot be known. */
  readonly catalog: Awaited<ReturnType<typeof readCatalog>> | null;
  readonly daemons: Awaited<ReturnType<typeof checkKey>>["daemons"];
}

/** What the network says, as far as it can be asked. */
async function askNetwork(context: Context, flags: DaemonFlags): Promise<Asked> {
  const open = await networkOf(context, flags);
  const findings = await checkReach(open.url, Date.now);
  const asked: Asked = { findings, settings: open, catalog: null, daemons: null };
  if (findings.some(({ level }) => level === "error")) return asked;
  let settings: Settings;
  try {
    settings = await settingsOf(context, flags);
  } catch (error) {
    // A session that is over, or a key that is none.
    findings.push(ofFailure("api_key", error));
    return asked;
  }
  const { finding, daemons } = await checkKey(settings);
  findings.push(finding);
  try {
    return { findings, settings, catalog: await readCatalog(settings), daemons };
  } catch (error) {
    findings.push(ofFailure("models", error));
    return { ...asked, settings, daemons };
  }
}

async function engineFindings(
  { terminal }: Context,
  flags: DaemonFlags,
  catalog: Asked["catalog"],
): Promise<Finding[]> {
  let engine: Awaited<ReturnType<typeof openEngine>>;
  try {
    engine = await openEngine(flags, (text) => terminal.err(text));
  } catch (error) {
    return [ofFailure("engine", error)];
  }
  try {
    const hardware = await probeHardware(flags.tier, flags.watts ?? null);
    const power = { hardware, usd_per_kwh: flags.usdPerKwh };
    return await checkEngine({ engine, serve: serveOptions(flags, engine), catalog, power, now: Date.now });
  } finally {
    await engine.close();
  }
}

function linesOf({ terminal: { colors } }: Context, { check, level, what, fix }: Finding): string[] {
  const marks = { ok: colors.green("✓"), warning: colors.yellow("!"), error: colors.red("✗") };
  return [`${marks[level]} ${check.padEnd(9)}  ${what}`, ...(fix === null ? [] : [`  ${" ".repeat(9)}  → ${fix}`])];
}
