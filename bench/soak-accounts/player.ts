/** A process of the soak: it plays the batches that it is asked for, one after the other. */

import { answerCalls } from "../processes/calls.ts";
import { playBatch } from "./batches.ts";

// A terminal interrupts everybody; the batch is still played to its end, for the report.
process.on("SIGINT", () => {});
answerCalls({ play: playBatch });
