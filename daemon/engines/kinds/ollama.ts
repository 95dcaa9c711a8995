import { z } from "zod";
import type { EngineModel } from "../engine.ts";
import type { Ask } from "../http.ts";
import { quantizationOf } from "../served-models.ts";
import { COMMON_FEATURES, type EngineKind } from "./kind.ts";

const version = z.object({ version: z.string() });
const tags = z.object({
  models: z.array(
    z.object({ name: z.string(), details: z.object({ quantization_level: z.string().optional() }).optional() }),
  ),
});
const running = z.object({ models: z.array(z.object({ name: z.string(), context_length: z.number().optional() })) });
const shown = z.object({ capabilities: z.array(z.string()).optional(), parameters: z.string().optional() });

export const ollama: EngineKind = {
  name: "Ollama",
  port: 11_434,
  progress: null,

  async identify(ask) {
    // Many servers tell a version; only Ollama lists its models under tags.
    const found = await ask("/api/version", version);
    if (found === null || (await ask("/api/tags", tags)) === null) return null;
    return { label: `Ollama ${found.version}`, slots: null };
  },

  async models(ask) {
    const list = await ask("/api/tags", tags);
    if (list === null) return null;
    const loaded = new Map((await ask("/api/ps", running))?.models.map((model) => [model.name, model.context_length]));
    const models: EngineModel[] = [];
    for (const { name, details } of list.models) {
      const { capabilities, context } = await show(ask, name);
      // A model that only embeds cannot chat.
      if (capabilities.length > 0 && !capabilities.includes("completion")) continue;
      models.push({
        name,
        // What it runs with, not what the model was trained for: Ollama cuts longer prompts without a word.
        context: loaded.get(name) ?? context,
        quantization: quantizationOf(details?.quantization_level ?? ""),
        loaded: loaded.has(name),
        features: [
          ...COMMON_FEATURES,
          "json_object",
          "json_schema",
          ...(capabilities.includes("tools") ? (["tools"] as const) : []),
          ...(capabilities.includes("vision") ? (["image_input"] as const) : []),
        ],
      });
    }
    return models;
  },
};

async function show(ask: Ask, model: string): Promise<{ capabilities: string[]; context: number | null }> {
  const answer = await ask("/api/show", shown, { model });
  const context = /^num_ctx\s+(\d+)/m.exec(answer?.parameters ?? "")?.[1];
  return { capabilities: answer?.capabilities ?? [], context: context === undefined ? null : Number(context) };
}
