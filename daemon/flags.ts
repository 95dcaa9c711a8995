/** Reading the values of flags. A bad one is named together with what it should be. */

import { InvalidArgumentError } from "commander";
import { LIMITS } from "../core/limits.ts";
import { modelId } from "../protocol/catalog.ts";
import { FEATURES, type Feature } from "../protocol/daemon/messages.ts";

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

/** A URL of http or https. */
export function httpUrl(text: string): string {
  if (URL.canParse(text) && /^https?:$/.test(new URL(text).protocol)) return text;
  throw new InvalidArgumentError("It must be an http or https URL, such as http://127.0.0.1:8080.");
}
