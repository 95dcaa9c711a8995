import { z } from "zod";
import { quantizationOf } from "../served-models.ts";
import { COMMON_FEATURES, type EngineKind, modelList } from "./kind.ts";

const version = z.object({ version: z.string() });

export const vllm: EngineKind = {
  name: "vLLM",
  port: 8_000,
  progress: "usage",

  async identify(ask) {
    const list = await ask("/v1/models", modelList);
    if (list === null || !list.data.some(({ owned_by }) => owned_by === "vllm")) return null;
    return { label: `vLLM ${(await ask("/version", version))?.version ?? ""}`.trim(), slots: null };
  },

  async models(ask) {
    const list = await ask("/v1/models", modelList);
    return (
      list?.data.map(({ id, max_model_len }) => ({
        name: id,
        context: max_model_len ?? null,
        quantization: quantizationOf(id),
        loaded: true,
        features: [...COMMON_FEATURES, "json_object", "json_schema", "logprobs", "n", "top_logprobs"],
      })) ?? null
    );
  },
};
