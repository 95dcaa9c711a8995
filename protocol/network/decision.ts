/** What a proposal of an operator's shows of who proposed it and who decided, wherever it takes two of them. */

import { z } from "zod";
import { time } from "./common.ts";

const operator = z.string().nullable().meta({ example: null });

export const decision = {
  proposed_by: z.string().meta({ description: "An operator's name.", example: "alice" }),
  proposed_at: time,
  expires_at: time,
  approved_by: operator,
  approved_at: time.nullable(),
  declined_by: operator,
  declined_at: time.nullable(),
};
