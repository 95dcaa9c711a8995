/** What a job is told that no daemon of its pool can serve. */

import { type Refusal, refuse } from "../errors.ts";
import { floorPerThousand, perThousand } from "../pricing.ts";
import { formatUsd, type NanoUsd } from "../units.ts";
import { obstacle } from "./choose.ts";
import type { Daemon } from "./daemon.ts";
import { type Demand, demandsOf } from "./demands.ts";
import type { OwnJob, WaitingJob } from "./waiting-job.ts";

/**
 * The refusal of a job that no daemon of the pool can serve: by its price where nothing else is in the way of one, else
 * with the demands that nobody meets, or that nobody meets together. Its metadata is described in docs/waiting.md.
 */
export function whyNobody(daemons: Iterable<Daemon>, job: WaitingJob): Refusal {
  const all = [...daemons];
  if (job.flow === null) return whyNoOwn(all, job);
  const obstacles = all.map((daemon) => obstacle(daemon, job));
  const tooCheap = all.filter((_, index) => obstacles[index] === "floor");
  if (tooCheap.length > 0) {
    const lowest = Math.min(...tooCheap.map((daemon) => floorPerThousand(daemon.floor))) as NanoUsd;
    const metadata = { lowest_ask: formatUsd(lowest), max_price: formatUsd(perThousand(job.maxRate)) };
    return refuse("no_bid", { metadata });
  }
  if (obstacles.includes("failed_before")) return refuse("provider_failed");
  const { there, demands } = demandsOf(all, job);
  const unmet = demands.filter(({ met_by }) => met_by === 0);
  const detail = there === 0 ? null : detailOf(there, demands, unmet);
  const param = unmet.find((demand) => demand.param !== null)?.param;
  return refuse("no_provider", {
    ...(detail === null ? {} : { detail }),
    ...(there === 0 || param == null ? {} : { param }),
    metadata: {
      daemons: there,
      demands: there === 0 ? [] : demands,
      passed_over: [...new Set(obstacles)].filter((reason) => reason !== null),
    },
  });
}

function whyNoOwn(daemons: readonly Daemon[], job: OwnJob): Refusal {
  const own = daemons.filter(({ provider }) => provider === job.account);
  const reasons = new Set(own.map((daemon) => obstacle(daemon, job)));
  if (reasons.has("failed_before")) return refuse("provider_failed");
  const detail = "None of your own daemons can serve this: connect one that offers the model, or leave out `route`.";
  return refuse("no_provider", { detail, param: "route", metadata: { passed_over: [...reasons] } });
}

function detailOf(there: number, demands: readonly Demand[], unmet: readonly Demand[]): string {
  const serve = there === 1 ? "one daemon serves" : `${there} daemons serve`;
  if (unmet.length > 0) return `Now ${serve} this model, and none meets ${listed(unmet.map(textOf))}.`;
  const hard = demands.filter(({ met_by }) => met_by < there);
  const counts = hard.map((demand) => `${textOf(demand)} (${demand.met_by})`);
  return `Now ${serve} this model, and none meets all of the request together: ${listed(counts)}.`;
}

function textOf({ demand, param, tokens, largest }: Demand): string {
  if (demand === "context") return `a context of ${tokens} tokens (the largest has ${largest})`;
  if (demand === "takes_unbacked_credits") return "payment in credits that no USDC stands behind";
  if (demand === "other_account") return "the rule that nobody serves its own jobs";
  return `\`${param}\``;
}

function listed(items: readonly string[]): string {
  return items.length < 2 ? items.join("") : `${items.slice(0, -1).join(", ")} and ${items.at(-1)}`;
}
