/** Whether the network is there, tells the same time, and takes the account's key; and what it has in its catalog. */

import { z } from "zod";
import { LIMITS } from "../../core/limits.ts";
import { daemonPage } from "../../protocol/network/daemons.ts";
import { EXIT, Failure, reasonOf, systemCode } from "../failure.ts";
import { callJson } from "../network/api.ts";
import { readPages } from "../network/pages.ts";
import type { Settings } from "../network/settings.ts";
import { doubtful, type Finding, good, wrong } from "./finding.ts";

const TIMEOUT_MS = 10_000;

const catalog = z.object({
  data: z.array(
    z.object({
      id: z.string(),
      quantization: z.string(),
      context_length: z.number(),
      /** USD per token. */
      pricing: z.object({ prompt: z.string(), completion: z.string() }),
    }),
  ),
});
export type CatalogEntry = z.infer<typeof catalog>["data"][number];
export type OwnDaemon = z.infer<typeof daemonPage>["data"][number];

/** Whether the network answers, and how far its clock is from this machine's. */
export async function checkReach(url: string, now: () => number): Promise<Finding[]> {
  const sent = now();
  let date: string | null;
  try {
    const response = await fetch(`${url}/v1/models`, { signal: AbortSignal.timeout(TIMEOUT_MS) });
    await response.body?.cancel();
    date = response.headers.get("date");
  } catch (error) {
    const what = `${url} cannot be reached (${systemCode(error) ?? reasonOf(error)}).`;
    const fix = "Start the network with npm start, give --url, or look at the firewall and the proxy.";
    return [wrong("network", EXIT.unreachable, what, fix)];
  }
  const reached = good("network", `${url} answers.`);
  const theirs = date === null ? Number.NaN : Date.parse(date);
  if (Number.isNaN(theirs)) return [reached];
  return [reached, clockFinding(theirs - (sent + now()) / 2)];
}

/** A header tells whole seconds, and the answer was on its way. */
function clockFinding(skewMs: number): Finding {
  const seconds = Math.round(Math.abs(skewMs) / 1_000);
  if (Math.abs(skewMs) <= LIMITS.challengeMs) return good("clock", "The clock is right.");
  const what = `The clock is ${seconds} s ${skewMs > 0 ? "behind" : "ahead of"} the network's.`;
  return doubtful("clock", what, "Set it by NTP: tokens and schedules go by it.");
}

/** The account's daemons, where its key is there and good; null where they cannot be known. */
export async function checkKey(settings: Settings): Promise<{ finding: Finding; daemons: OwnDaemon[] | null }> {
  if (settings.apiKey === null) {
    const fix = "Sign in with tollmill login, or give the account's key with --api-key or TOLLMILL_API_KEY.";
    return { finding: wrong("api_key", EXIT.refused, "No account's key is given.", fix), daemons: null };
  }
  try {
    const daemons = await readPages(settings, "/api/v1/daemons", daemonPage);
    return { finding: good("api_key", "The account's key is good, and may look after daemons."), daemons };
  } catch (error) {
    return { finding: ofFailure("api_key", error), daemons: null };
  }
}

/** The catalog, by model. */
export async function readCatalog(settings: Settings): Promise<ReadonlyMap<string, CatalogEntry>> {
  const { data } = await callJson({ ...settings, apiKey: null }, "/v1/models", catalog);
  return new Map(data.map((entry) => [entry.id, entry]));
}

/** A failure as a finding; bugs go on as they are. */
export function ofFailure(check: Finding["check"], error: unknown): Finding {
  if (!(error instanceof Failure)) throw error;
  return wrong(check, error.exitCode, error.message, null);
}
