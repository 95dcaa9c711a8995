import { basename } from "node:path";
import { z } from "zod";
import { quantizationOf } from "../served-models.ts";
import { COMMON_FEATURES, type EngineKind, modelList } from "./kind.ts";

const props = z.object({
  total_slots: z.number().int().min(1),
  default_generation_settings: z.object({ n_ctx: z.number().int().min(1).optional() }),
  model_path: z.string().optional(),
  build_info: z.string().optional(),
});

export const llamaServer: EngineKind = {
  name: "llama.cpp server",
  port: 8_080,
  progress: "timings",

  async identify(ask) {
    const found = await ask("/props", props);
    return found === null
      ? null
      : { label: `llama.cpp server ${found.build_info ?? ""}`.trim(), slots: found.total_slots };
  },

  async models(ask) {
    const found = await ask("/props", props);
    const list = await ask("/v1/models", modelList);
    if (found === null || list === null) return null;
    return list.data.map(({ id }) => ({
      // The id is the file's whole path unless an alias was set; the server takes any name.
      name: basename(id.replaceAll("\\", "/")).replace(/\.gguf$/, ""),
      context: found.default_generation_settings.n_ctx ?? null,
      quantization: quantizationOf(found.model_path ?? id),
      loaded: true,
      features: [...COMMON_FEATURES, "json_object", "json_schema", "logprobs", "top_logprobs"],
    }));
  },
};
