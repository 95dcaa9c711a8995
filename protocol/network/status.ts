/** Shape of the network's public status. */

import { z } from "zod";

export const status = z.object({
  network: z.string().meta({ description: "The name that stands in every receipt.", example: "local" }),
  version: z.string().meta({ example: "0.1.0" }),
  region: z.string().meta({ example: "local" }),
  models: z.array(
    z.object({
      id: z.string().meta({ example: "tiny-miller" }),
      daemons: z.int().meta({ description: "Daemons that serve it now.", example: 2 }),
      slots: z.int().meta({ description: "Jobs that they can run at once.", example: 8 }),
      free: z.int().meta({ example: 7 }),
      waiting: z.int().meta({ description: "Jobs that wait for a slot.", example: 0 }),
    }),
  ),
  log: z.object({ size: z.int().meta({ description: "Receipts in the log.", example: 128 }) }),
  dead_letters: z.object({
    count: z.int().meta({ description: "Receipts that could not be appended and wait for an operator.", example: 0 }),
  }),
});
