/** `tollmill balance --watch`: the balance as it changes, over one connection after another until a signal. */

import { setTimeout as sleep } from "node:timers/promises";
import { ERRORS, isErrorCode } from "../../core/errors.ts";
import type { LiveMessage } from "../../protocol/network/live-balance.ts";
import { EXIT, type ExitCode, Failure } from "../failure.ts";
import { Refused } from "../network/api.ts";
import { readLiveBalance } from "../network/live-balance.ts";
import { type Context, type GlobalFlags, settingsOf } from "./context.ts";

type Told = Exclude<LiveMessage, { readonly type: "end" }>;

const PAUSE = { firstMs: 500, mostMs: 30_000 };

/** Prints every message until a signal. Throws a {@link Failure} where connecting (again) cannot help. */
export async function watchBalance(
  context: Context,
  flags: GlobalFlags,
  signals: NodeJS.EventEmitter,
): Promise<ExitCode> {
  const settings = await settingsOf(context, flags);
  const { terminal } = context;
  const stopped = new AbortController();
  const stop = (): void => stopped.abort();
  signals.on("SIGINT", stop).on("SIGTERM", stop);
  let last: string | null = null;
  let failures = 0;
  try {
    while (!stopped.signal.aborted) {
      const end = await readLiveBalance(settings, last, stopped.signal, (message) => {
        terminal.out(flags.json === true ? jsonLine(message) : line(message, last !== null));
        last = message.id;
      });
      if (stopped.signal.aborted) break;
      if (end.code !== null && isFinal(end.code)) throw new Refused(end.code, end.reason);
      if (last === null && end.code === null) {
        throw new Failure(
          EXIT.unreachable,
          `${settings.url} cannot be reached (${end.reason}). Start the network with npm start, or give --url.`,
        );
      }
      failures = end.wasOpen ? 0 : failures + 1;
      // Everybody loses the connection in the same moment when the network is updated.
      const pause = Math.random() * Math.min(PAUSE.mostMs, PAUSE.firstMs * 2 ** failures);
      if (flags.json !== true) terminal.err(`connection lost (${end.reason}), connecting again`);
      await sleep(pause, undefined, { signal: stopped.signal }).catch(() => {});
    }
    return EXIT.ok;
  } finally {
    signals.off("SIGINT", stop).off("SIGTERM", stop);
  }
}

/** A wrong or expired key stays so; what is full, slow or broken does not. */
function isFinal(code: string): boolean {
  return isErrorCode(code) && ERRORS[code].status < 429;
}

/** As the network says it, without what is between the two programs. */
function jsonLine({ ack: _, ...message }: Told): string {
  return JSON.stringify(message);
}

function line(message: Told, again: boolean): string {
  const { at, available, held, open_jobs: open } = message;
  const time = new Date(at).toISOString().slice(11, 19);
  const amounts = `${available} available, ${held} held by ${open} open ${open === 1 ? "job" : "jobs"}`;
  const causes = causesOf(message);
  if (causes !== "") return `${time}  ${amounts}  (${causes})`;
  return `${time}  ${amounts}${again && message.type === "snapshot" ? "  (connected again)" : ""}`;
}

/** What happened, in a few words: `1 job began, 2 spent, bonus #12`. */
function causesOf({ entries, unlisted, jobs_begun: begun }: Told): string {
  const parts = begun === 0 ? [] : [`${begun} ${begun === 1 ? "job" : "jobs"} began`];
  const byType = Map.groupBy(entries, ({ type }) => type);
  for (const [type, of] of byType) parts.push(of.length === 1 ? `${type} #${of[0]?.seq}` : `${of.length} ${type}`);
  if (unlisted > 0) parts.push(`${unlisted} older entries`);
  return parts.join(", ");
}
