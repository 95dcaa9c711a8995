/** Finds the engine: the usual ones on their usual ports of this machine, or one at a URL. */

import { EXIT, Failure } from "../failure.ts";
import type { Engine } from "./engine.ts";
import { asker } from "./http.ts";
import { anyOpenAi } from "./kinds/any-openai.ts";
import type { EngineKind } from "./kinds/kind.ts";
import { llamaServer } from "./kinds/llama-server.ts";
import { lmStudio } from "./kinds/lm-studio.ts";
import { ollama } from "./kinds/ollama.ts";
import { vllm } from "./kinds/vllm.ts";
import { OpenAiEngine } from "./openai-engine.ts";

const KINDS: readonly EngineKind[] = [ollama, vllm, llamaServer, lmStudio];
const PROBE_MS = 1_500;

/** The first engine that answers on its usual port, or null. `urlOf` moves the ports in tests. */
export async function findEngine(urlOf: (kind: EngineKind) => string = usualUrl): Promise<Engine | null> {
  const found = await Promise.all(KINDS.map((kind) => engineAt(urlOf(kind), kind, null)));
  return found.find((engine) => engine !== null) ?? null;
}

/** The engine at a URL, of whichever kind it is. Throws a {@link Failure} when nothing there speaks OpenAI's dialect. */
export async function engineAtUrl(url: string, key: string | null): Promise<Engine> {
  const base = baseUrl(url);
  for (const kind of [...KINDS, anyOpenAi]) {
    const engine = await engineAt(base, kind, key);
    if (engine !== null) return engine;
  }
  throw new Failure(
    EXIT.unreachable,
    `${url} is no engine: it did not answer GET ${new URL("/v1/models", base).href} with a list of models. ` +
      "Start the engine, correct --engine, or give --engine-key if it wants one.",
  );
}

async function engineAt(url: string, kind: EngineKind, key: string | null): Promise<Engine | null> {
  const identified = await kind.identify(asker(url, key, PROBE_MS));
  return identified === null ? null : new OpenAiEngine({ url, key, kind, ...identified });
}

function usualUrl(kind: EngineKind): string {
  return `http://127.0.0.1:${kind.port}`;
}

/** OpenAI clients are given URLs that end in /v1, engines' own calls stand beside it. */
function baseUrl(url: string): string {
  return url.replace(/\/+$/, "").replace(/\/v1$/, "");
}
