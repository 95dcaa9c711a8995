/** Whether the network knows the daemon, has it, and gives it jobs. */

import type { z } from "zod";
import type { DaemonId } from "../../core/ids.ts";
import { wholeDaemon } from "../../protocol/network/daemons.ts";
import { EXIT } from "../failure.ts";
import { callJson } from "../network/api.ts";
import type { Settings } from "../network/settings.ts";
import { askWhy } from "../network/why.ts";
import { doubtful, type Finding, good, wrong } from "./finding.ts";
import { type OwnDaemon, ofFailure } from "./network.ts";

/** The reasons that are told of a daemon that gets no jobs. */
const REASONS = 3;

export async function checkSupply(
  settings: Settings,
  daemon: DaemonId,
  daemons: readonly OwnDaemon[],
): Promise<Finding[]> {
  const own = daemons.find(({ id }) => id === daemon);
  if (own === undefined) {
    const what = `The account has not enrolled ${daemon}.`;
    return [wrong("enrolled", EXIT.refused, what, "Start tollmill daemon once with the account's key: it enrols it.")];
  }
  const enrolled = good("enrolled", `Enrolled as ${own.name}, paid in ${own.payout === "usdc" ? "USDC" : "credits"}.`);
  if (!own.connected) {
    const fix = "Start tollmill daemon, or look at its log for why the network sends it away.";
    return [enrolled, wrong("connected", EXIT.checkFailed, "It is not connected.", fix)];
  }
  const connected = good("connected", "It is connected.");
  const state = await checkState(settings, daemon);
  return [enrolled, connected, state, ...(await checkJobs(settings, daemon, state.level === "warning"))];
}

/** Whether it takes jobs now, and by whose will it does not. */
async function checkState(settings: Settings, daemon: DaemonId): Promise<Finding> {
  try {
    const { state, drained_at, connection } = await callJson(settings, `/api/v1/daemons/${daemon}`, wholeDaemon);
    if (drained_at !== null) {
      const what = `Its account has drained it since ${drained_at}, so it gets no jobs.`;
      return wrong("state", EXIT.checkFailed, what, `tollmill daemons resume ${daemon}`);
    }
    if (state === "draining") {
      return wrong(
        "state",
        EXIT.checkFailed,
        "It is about to stop, so it gets no jobs.",
        "Start tollmill daemon again.",
      );
    }
    const gates = connection?.withdrawn_by ?? [];
    if (gates.length > 0) {
      const what = `It offers no models now, by its own rules: ${gates.join(", ")}.`;
      return doubtful("state", what, "Change --schedule, --on-ac-only or --max-gpu-temp if that is not meant.");
    }
    return standingFinding(connection?.models ?? []);
  } catch (error) {
    return ofFailure("state", error);
  }
}

type ConnectedModel = NonNullable<z.infer<typeof wholeDaemon>["connection"]>["models"][number];

/** What failed a check, or fails too often, gets probes instead of jobs for a while. */
function standingFinding(models: readonly ConnectedModel[]): Finding {
  const probed = models.flatMap(({ id, standing }) => {
    const quarantine = standing?.quarantine ?? null;
    return quarantine === null ? [] : [`${id} (${quarantine.why}, ${quarantine.passed} of ${quarantine.of} passed)`];
  });
  if (probed.length === 0) return good("state", "It takes jobs.");
  const what = `It gets probes and no jobs for ${probed.join(", ")}.`;
  const fix = "Look at its log for what failed, and keep it running: probes passed in a row end that.";
  return probed.length < models.length ? doubtful("state", what, fix) : wrong("state", EXIT.checkFailed, what, fix);
}

async function checkJobs(settings: Settings, daemon: DaemonId, isWithdrawn: boolean): Promise<Finding[]> {
  try {
    const { offered, pools } = await askWhy(settings, daemon);
    // What it withdrew by itself was told already.
    if (offered.length === 0 && isWithdrawn) return [];
    if (offered.length === 0) {
      const fix = "See the models above: the network takes those that its catalog has, in its quantization.";
      return [wrong("jobs", EXIT.checkFailed, "The network has none of its models.", fix)];
    }
    return pools.map((pool) => {
      const { model, decisions, chosen, passed_over } = pool;
      if (decisions === 0) return good("jobs", `${model}: nobody has asked for it of late.`);
      const told = `${model}: chosen in ${chosen} of ${decisions} decisions looked into.`;
      if (chosen > 0) return good("jobs", told);
      const most = passed_over.slice(0, REASONS);
      const reasons = most.map(({ reason, count, meaning }) => `${meaning} (${reason}, ${count})`);
      return doubtful("jobs", `${told} ${reasons.join(" ")}`, most.map(({ fix }) => fix).join(" "));
    });
  } catch (error) {
    return [ofFailure("jobs", error)];
  }
}
