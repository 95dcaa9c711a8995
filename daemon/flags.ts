/** Reading the values of flags. A bad one is named together with what it should be. */

import { InvalidArgumentError } from "commander";
import { SCOPES, type Scope } from "../core/account/scopes.ts";
import { isId128 } from "../core/ids.ts";
import { LIMITS } from "../core/limits.ts";
import { parseUsd } from "../core/units.ts";
import { modelId } from "../protocol/catalog.ts";
import { FEATURES, type Feature } from "../protocol/daemon/messages.ts";
import { parseSchedule, type Schedule, ScheduleError } from "./conditions/schedule.ts";

/** A whole number within bounds. */
export function wholeNumber(least: number, most: number) {
  return (text: string): number => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= least && value <= most) return value;
    throw new InvalidArgumentError(`It must be a whole number from ${least} to ${most}.`);
  };
}

/** A decimal number within bounds. */
export function decimal(least: number, most: number) {
  return (text: string): number => {
    const value = Number(text);
    if (/^\d+(\.\d+)?$/.test(text) && value >= least && value <= most) return value;
    throw new InvalidArgumentError(`It must be a number from ${least} to ${most}, such as ${Math.max(least, 0.12)}.`);
  };
}

/** `engineName=catalogId`, collected. The engine's name may hold `=`, an id never does. */
export function serveEntry(text: string, before: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  const at = text.lastIndexOf("=");
  const [name, id] = [text.slice(0, Math.max(at, 0)), text.slice(at + 1)];
  if (name === "" || !modelId.safeParse(id).success) {
    throw new InvalidArgumentError("It must be ENGINE_NAME=CATALOG_ID, such as llama3.1:8b=llama-3.1-8b.");
  }
  if (before.size >= LIMITS.daemonModels)
    throw new InvalidArgumentError(`At most ${LIMITS.daemonModels} models can be offered.`);
  return new Map([...before, [name, id]]);
}

/** A feature that the operator vouches for, collected. */
export function featureEntry(text: string, before: readonly Feature[]): readonly Feature[] {
  const feature = FEATURES.find((known) => known === text);
  if (feature === undefined) throw new InvalidArgumentError(`It must be one of: ${FEATURES.join(", ")}.`);
  return [...before, feature];
}

/** An id of 128 bits, as every member, key and account has one. */
export function idEntry(text: string): string {
  if (isId128(text)) return text;
  throw new InvalidArgumentError("It must be an id of 22 letters and digits.");
}

/** When a daemon serves. */
export function scheduleEntry(text: string): Schedule {
  try {
    return parseSchedule(text);
  } catch (error) {
    if (error instanceof ScheduleError) throw new InvalidArgumentError(error.message);
    throw error;
  }
}

/** A URL of http or https. */
export function httpUrl(text: string): string {
  if (URL.canParse(text) && /^https?:$/.test(new URL(text).protocol)) return text;
  throw new InvalidArgumentError("It must be an http or https URL, such as http://127.0.0.1:8080.");
}

/** A day or a moment in UTC, as RFC 3339 writes it. */
export function moment(text: string): string {
  const isTime = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d))?$/.test(text);
  const time = isTime ? Date.parse(text) : Number.NaN;
  // Date.parse takes 31 February for 3 March.
  if (!Number.isNaN(time) && isDay(text.slice(0, 10))) return new Date(time).toISOString();
  throw new InvalidArgumentError("It must be a day or a time such as 2026-12-31 or 2026-12-31T18:00:00Z.");
}

/** A day in UTC. */
export function day(text: string): string {
  if (/^\d{4}-\d\d-\d\d$/.test(text) && !Number.isNaN(Date.parse(text)) && isDay(text)) return text;
  throw new InvalidArgumentError("It must be a day such as 2026-12-31.");
}

function isDay(text: string): boolean {
  return new Date(`${text}T00:00:00Z`).toISOString().startsWith(text);
}

/** A positive amount of USD. */
export function usdAmount(text: string): string {
  if ((parseUsd(text) ?? 0) > 0) return text;
  throw new InvalidArgumentError("It must be an amount of USD above 0 with at most nine places, such as 25 or 0.5.");
}

/** What a key may do, collected. */
export function scopeEntry(text: string, before: readonly Scope[] = []): readonly Scope[] {
  const scope = SCOPES.find((known) => known === text);
  if (scope === undefined) throw new InvalidArgumentError(`It must be one of: ${SCOPES.join(", ")}.`);
  return [...before, scope];
}

/** What a private network charges, by model: decimal USD per 1,000 tokens. */
export type RateFlags = ReadonlyMap<string, { readonly prompt: string; readonly completion: string }>;

/** `catalogId=prompt/completion`, collected. An id may hold `/`, never `=`. */
export function rateEntry(text: string, before: RateFlags = new Map()): RateFlags {
  const [, model = "", prompt = "", completion = ""] = /^([^=]*)=([^/]*)\/([^/]*)$/.exec(text) ?? [];
  const isRate = [prompt, completion].every((usd) => (parseUsd(usd) ?? -1) >= 0);
  if (isRate && modelId.safeParse(model).success) return new Map([...before, [model, { prompt, completion }]]);
  throw new InvalidArgumentError(
    "It must be MODEL=PROMPT/COMPLETION in USD per 1,000 tokens, such as llama-3.1-8b=0.00001/0.00004.",
  );
}

/** The id of a private network, collected. */
export function networkEntry(text: string, before: readonly string[] = []): readonly string[] {
  const id = idEntry(text);
  if (before.length >= LIMITS.memberNetworks)
    throw new InvalidArgumentError(`At most ${LIMITS.memberNetworks} networks can be served.`);
  return [...new Set([...before, id])];
}

/** A model's id in the catalog, collected. */
export function catalogModel(text: string, before: readonly string[] = []): readonly string[] {
  if (!modelId.safeParse(text).success) throw new InvalidArgumentError("It must be the id of a model of the catalog.");
  return [...before, text];
}
