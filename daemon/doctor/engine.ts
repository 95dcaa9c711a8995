/** Whether the engine answers, what of it the network's catalog has, how fast that is, and whether it pays. */

import type { Offer } from "../../protocol/daemon/messages.ts";
import { type Engine, EngineError } from "../engines/engine.ts";
import { measureSpeed } from "../engines/measure.ts";
import {
  chooseModels,
  offerModels,
  type ServedModel,
  type ServeOptions,
  type Speed,
} from "../engines/served-models.ts";
import { EXIT, Failure } from "../failure.ts";
import { doubtful, type Finding, good, wrong } from "./finding.ts";
import type { CatalogEntry } from "./network.ts";
import { checkPrice } from "./price.ts";

export interface EngineChecks {
  readonly engine: Engine;
  readonly serve: ServeOptions;
  /** Null where it could not be read. */
  readonly catalog: ReadonlyMap<string, CatalogEntry> | null;
  readonly power: Pick<Offer, "hardware" | "usd_per_kwh">;
  readonly now: () => number;
}

export async function checkEngine({ engine, serve, catalog, power, now }: EngineChecks): Promise<Finding[]> {
  const findings: Finding[] = [];
  try {
    const { chosen, skipped } = chooseModels(await engine.models(), serve.serve);
    findings.push(good("engine", `${engine.label} answers.`));
    for (const name of skipped) {
      const fix = `Name one, if the catalog has it: --serve ${name}=ID`;
      findings.push(doubtful("models", `${name} is no id of a catalog.`, fix));
    }
    const served = [...offerModels(chosen, new Map(), serve)].map(([, model]) => model);
    if (catalog === null) return findings;
    findings.push(...served.map((model) => checkModel(model, catalog)));
    const known = served.filter(({ offered }) => catalog.get(offered.id)?.quantization === offered.quantization);
    if (known.length === 0) {
      const fix = "GET /v1/models lists what can be served: load one of these, or name it with --serve NAME=ID.";
      return [...findings, wrong("models", EXIT.checkFailed, "The network's catalog has none of its models.", fix)];
    }
    for (const { engineName, offered } of known) {
      // Measuring loads a model, so of those that are not loaded only the ones asked for by name are measured.
      if (!offered.loaded && serve.serve.size === 0) continue;
      const speed = await measureSpeed(engine, engineName, now);
      findings.push(speedFinding(offered.id, speed));
      const model = chosen.get(offered.id);
      const entry = catalog.get(offered.id);
      if (speed === null || model === undefined || entry === undefined) continue;
      const measured = offerModels(new Map([[offered.id, model]]), new Map([[engineName, speed]]), serve);
      const made = measured.get(offered.id);
      if (made !== undefined) findings.push(checkPrice(power, made.offered, entry));
    }
    return findings;
  } catch (error) {
    if (error instanceof EngineError) {
      const what = `${engine.label} does not answer as it should (${error.code}).`;
      return [...findings, wrong("engine", EXIT.unreachable, what, "Look at its log, or start it again.")];
    }
    if (!(error instanceof Failure)) throw error;
    return [...findings, wrong("models", error.exitCode, error.message, null)];
  }
}

function speedFinding(id: string, speed: Speed | null): Finding {
  if (speed === null) {
    return wrong("speed", EXIT.checkFailed, `${id} wrote no token.`, "Ask the engine itself, and look at its log.");
  }
  const reading = speed.prefill === null ? "" : `, and reads ${speed.prefill}`;
  return good("speed", `${id} writes ${speed.decode} tokens a second${reading}.`);
}

/** A model that the catalog does not have, or not so, is left out of the offer by the network. */
function checkModel({ offered, engineName }: ServedModel, catalog: ReadonlyMap<string, CatalogEntry>): Finding {
  const { id, quantization, context } = offered;
  const entry = catalog.get(id);
  if (entry === undefined) {
    const fix = `Name the model of GET /v1/models that it is: --serve ${engineName}=ID`;
    return doubtful("models", `${id} is not in the network's catalog.`, fix);
  }
  if (entry.quantization !== quantization) {
    const what = `${id} is in the catalog as ${entry.quantization}, and this is ${quantization}.`;
    return doubtful(
      "models",
      what,
      `Load it as ${entry.quantization}; where the engine says it wrongly, --quantization says it.`,
    );
  }
  if (context < entry.context_length) {
    const what = `${id} (${quantization}) is offered with a context of ${context} tokens of ${entry.context_length}.`;
    return doubtful(
      "models",
      what,
      "Raise it, with the engine's own setting or --context, to get longer jobs as well.",
    );
  }
  return good("models", `${id} (${quantization}) is in the catalog, with its whole context.`);
}
