import { z } from "zod";
import { quantizationOf } from "../served-models.ts";
import { COMMON_FEATURES, type EngineKind } from "./kind.ts";

const models = z.object({
  object: z.literal("list"),
  data: z.array(
    z.object({
      id: z.string(),
      type: z.string(),
      state: z.enum(["loaded", "not-loaded", "loading"]),
      quantization: z.string().optional(),
      max_context_length: z.number(),
      loaded_context_length: z.number().optional(),
      capabilities: z.array(z.string()).optional(),
    }),
  ),
});

export const lmStudio: EngineKind = {
  name: "LM Studio",
  port: 1_234,
  progress: null,

  async identify(ask) {
    // An empty list has nothing in it that only LM Studio would say, and nothing to serve.
    const list = await ask("/api/v0/models", models);
    return list === null || list.data.length === 0 ? null : { label: "LM Studio", slots: null };
  },

  async models(ask) {
    const list = await ask("/api/v0/models", models);
    return (
      list?.data
        .filter(({ type }) => type === "llm" || type === "vlm")
        .map((model) => ({
          name: model.id,
          // A model that is not loaded yet is loaded with LM Studio's own default, which it does not tell.
          context: model.loaded_context_length ?? (model.state === "loaded" ? model.max_context_length : null),
          quantization: quantizationOf(model.quantization ?? ""),
          loaded: model.state === "loaded",
          features: [
            ...COMMON_FEATURES,
            "json_schema",
            ...(model.capabilities?.includes("tool_use") ? (["tools"] as const) : []),
            ...(model.type === "vlm" ? (["image_input"] as const) : []),
          ],
        })) ?? null
    );
  },
};
