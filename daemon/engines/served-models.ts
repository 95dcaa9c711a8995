/** Which of an engine's models are offered, and under which ids of the catalog. */

import { LIMITS } from "../../core/limits.ts";
import type { Quantization } from "../../core/pricing.ts";
import { modelId } from "../../protocol/catalog.ts";
import type { Feature, OfferedModel } from "../../protocol/daemon/messages.ts";
import { EXIT, Failure } from "../failure.ts";
import type { EngineModel } from "./engine.ts";

export interface ServedModel {
  readonly engineName: string;
  readonly offered: OfferedModel;
  /** False while the engine does not answer. */
  readonly available: boolean;
}

export interface Speed {
  readonly decode: number;
  readonly prefill: number | null;
}

export interface ServeOptions {
  /** Engine name → catalog id; when it is not empty, nothing else is offered. */
  readonly serve: ReadonlyMap<string, string>;
  readonly slots: number;
  /** What the operator knows better than the engine. */
  readonly context: number | null;
  readonly quantization: Quantization | null;
  readonly features: readonly Feature[];
}

/** Where neither engine nor operator names a context: what small engines are set to when nobody sets it. */
const DEFAULT_CONTEXT = 4_096;

/**
 * The catalog id of an engine's model: its own name in lower case, where Ollama's `name:tag` becomes `name-tag`. Null when
 * that is no id, so that the operator has to name one.
 */
export function catalogIdOf(engineName: string): string | null {
  const parsed = modelId.safeParse(engineName.toLowerCase().replaceAll(":", "-"));
  return parsed.success ? parsed.data : null;
}

export interface Choice {
  /** Catalog id → the engine's model. */
  readonly chosen: ReadonlyMap<string, EngineModel>;
  /** Names that are no catalog id and that nobody mapped to one. */
  readonly skipped: readonly string[];
  /** How many more the engine has than a daemon may offer. */
  readonly leftOut: number;
}

/** What to do about models that were left out. */
export const LEFT_OUT_HINT = "choose with --serve NAME=ID, which offers what it names and nothing else";

/**
 * Chooses the models to offer: those that `--serve` names, else the first {@link LIMITS.daemonModels}, loaded ones first. A
 * relay refuses an offer of more as a whole. Throws a {@link Failure} when `--serve` names a model that the engine does not have. */
export function chooseModels(models: readonly EngineModel[], serve: ReadonlyMap<string, string>): Choice {
  const chosen = new Map<string, EngineModel>();
  if (serve.size > 0) {
    for (const [name, id] of serve) {
      const model = models.find((candidate) => candidate.name === name);
      if (model === undefined) {
        const known = models.map((candidate) => candidate.name).join(", ");
        throw new Failure(
          EXIT.usage,
          `--serve ${name}=${id}: the engine has no model ${name}. It has: ${known || "none"}.`,
        );
      }
      chosen.set(id, model);
    }
    return { chosen, skipped: [], leftOut: 0 };
  }
  const skipped: string[] = [];
  let leftOut = 0;
  for (const model of [...models].sort((a, b) => Number(b.loaded) - Number(a.loaded))) {
    const id = catalogIdOf(model.name);
    if (id === null) skipped.push(model.name);
    // Of two names that come to one id the loaded one stays.
    else if (chosen.has(id)) continue;
    else if (chosen.size < LIMITS.daemonModels) chosen.set(id, model);
    else leftOut += 1;
  }
  return { chosen, skipped, leftOut };
}

/** The models as an offer lists them. Speeds are by engine name; what was not measured gets the slowest that was. */
export function offerModels(
  chosen: ReadonlyMap<string, EngineModel>,
  speeds: ReadonlyMap<string, Speed>,
  options: ServeOptions,
): ReadonlyMap<string, ServedModel> {
  const slowest = [...speeds.values()].reduce((least, { decode }) => Math.min(least, decode), Number.POSITIVE_INFINITY);
  const served = new Map<string, ServedModel>();
  for (const [id, model] of chosen) {
    const speed = speeds.get(model.name);
    const prefill = speed?.prefill ?? null;
    const offered: OfferedModel = {
      id,
      quantization: options.quantization ?? model.quantization ?? "fp16",
      context: options.context ?? model.context ?? DEFAULT_CONTEXT,
      slots: options.slots,
      tokens_per_second: speed?.decode ?? (Number.isFinite(slowest) ? slowest : 1),
      ...(prefill === null ? {} : { prefill_tokens_per_second: prefill }),
      loaded: model.loaded,
      features: [...new Set([...model.features, ...options.features])].sort(),
    };
    served.set(id, { engineName: model.name, offered, available: true });
  }
  return served;
}

/** The quantization class of a name such as Q4_K_M, q8_0, F16, 4bit or AWQ; null when it tells nothing. */
export function quantizationOf(name: string): Quantization | null {
  const text = name.toLowerCase();
  if (/(^|[^a-z])(f16|fp16|bf16|f32|fp32)|float16|bfloat16|16bit/.test(text)) return "fp16";
  if (/q8|8bit|int8|fp8|w8a/.test(text)) return "q8";
  // What lies between the classes counts as the lower one: nobody pays for more than was computed.
  if (/q[2-6]|[2-6]bit|int4|awq|gptq|nf4|mxfp4|fp4/.test(text)) return "q4";
  return null;
}
