/** Asking the network why a daemon was passed over. */

import type { z } from "zod";
import { why as whyShape } from "../../protocol/network/why.ts";
import { callJson } from "./api.ts";
import type { Settings } from "./settings.ts";

export type Why = z.infer<typeof whyShape>;

/** For a model, or for all that the daemon offers. Throws a Failure. */
export function askWhy(settings: Settings, daemon: string, model?: string): Promise<Why> {
  const query = model === undefined ? "" : `?model=${encodeURIComponent(model)}`;
  return callJson(settings, `/api/v1/daemons/${daemon}/why${query}`, whyShape);
}
