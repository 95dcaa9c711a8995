/** Shapes of probes: requests whose answers are known. */

import { z } from "zod";
import { LIMITS } from "../../core/limits.ts";
import { hash } from "../ids.ts";
import { time } from "./common.ts";

const { least, most } = LIMITS.probeAnswerCharacters;

const answers = z
  .array(z.string().min(least).max(most))
  .min(1)
  .max(LIMITS.probeAnswers)
  .meta({
    description: "Texts that a right answer begins with: one for each engine that comes to another one.",
    example: ["The capital of France is Paris."],
  });

export const recordProbe = z.strictObject({
  request: z.record(z.string(), z.unknown()).meta({
    description: "A chat completion's body, with `temperature` 0 and `max_completion_tokens`, for one choice of text.",
    example: {
      messages: [{ role: "user", content: "What is the capital of France? One sentence." }],
      temperature: 0,
      max_completion_tokens: 16,
    },
  }),
  answers,
});

export const probe = z.object({
  id: hash.meta({ description: "SHA-256 of the request as daemons get it, hex." }),
  request: z.record(z.string(), z.unknown()).meta({ description: "The request as daemons get it." }),
  answers,
  created_at: time,
});

export const probeList = z.object({ data: z.array(probe) });
