import { quantizationOf } from "../served-models.ts";
import { COMMON_FEATURES, type EngineKind, modelList } from "./kind.ts";

/** Any server with OpenAI's dialect. It is never looked for, only used where it was named. */
export const anyOpenAi: EngineKind = {
  name: "OpenAI-compatible engine",
  port: null,
  progress: null,

  async identify(ask) {
    return (await ask("/v1/models", modelList)) === null ? null : { label: "OpenAI-compatible engine", slots: null };
  },

  async models(ask) {
    const list = await ask("/v1/models", modelList);
    return (
      list?.data.map(({ id, max_model_len }) => ({
        name: id,
        context: max_model_len ?? null,
        quantization: quantizationOf(id),
        loaded: true,
        features: COMMON_FEATURES,
      })) ?? null
    );
  },
};
