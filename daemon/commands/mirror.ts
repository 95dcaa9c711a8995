/** `tollmill ledger --mirror FILE`: the account's whole ledger kept on this machine, and checked at every run. */

import { EXIT, type ExitCode } from "../failure.ts";
import { mirrorLedger } from "../mirror/mirror.ts";
import { type Context, type GlobalFlags, settingsOf } from "./context.ts";

export interface MirrorFlags extends GlobalFlags {
  readonly mirror: string;
  readonly recheck?: boolean;
  readonly networkKey?: string;
}

export const MIRROR_HELP = `
With --mirror the whole ledger is kept in FILE as NDJSON, one entry a line. Each run adds what is new and checks:
  the file      every line's form, the order, the hash chain, each receipt's price, parts and split, no job charged twice
  what is new   all of that, and the signature of the daemon in every receipt, before it is written
  the network   that its chain is still the one in FILE, its signature under the newest receipt, and that all entries
                together come to the balance
The network signs each receipt together with the hash of the entry before it, so that one signature vouches for the whole
ledger up to it; no other is fetched. A receipt's line also has the time of its entry, which is in no hash: --recheck fetches
every line again to compare it, and checks every daemon's signature again (some milliseconds each).
A line that was cut is written again; a file that is not this account's mirror is left as it is.`;

export async function showMirror(context: Context, flags: MirrorFlags): Promise<ExitCode> {
  const { terminal } = context;
  const report = await mirrorLedger(await settingsOf(context, flags), flags.mirror, {
    recheck: flags.recheck === true,
    networkKey: flags.networkKey,
    onPage: (entries) => {
      if (terminal.interactive) terminal.err(`${entries} entries`);
    },
  });
  const { entries, added, mended, head, findings, badSeq, signed } = report;
  const exit = badSeq === null ? EXIT.ok : EXIT.checkFailed;
  if (flags.json === true) {
    const first = { file: flags.mirror, ok: badSeq === null, first_bad_seq: badSeq };
    terminal.out(JSON.stringify({ ...first, entries, added, mended, head, checks: findings, signed }));
    return exit;
  }
  const { colors } = terminal;
  for (const { check, ok, detail } of findings) {
    const mark = ok === null ? colors.yellow("–") : ok ? colors.green("✓") : colors.red("✗");
    terminal.out(`${mark} ${check.replaceAll("_", " ").padEnd(17)} ${detail}`);
  }
  if (mended) terminal.out("The last line had been cut, and is whole again.");
  terminal.out(
    badSeq === null
      ? `${added} ${added === 1 ? "entry" : "entries"} added; ${flags.mirror} has ${entries}, and they hold.`
      : `The ledger does NOT hold from entry ${badSeq} on; ${added} added before it.`,
  );
  return exit;
}
