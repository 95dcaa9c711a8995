/** `/v1`: OpenAI's dialect. */

import { Hono } from "hono";
import type { HttpEnv } from "../http.ts";
import { chatCompletions } from "./chat.ts";
import { getModelObject, listModelObjects } from "./models.ts";

export const gateway = new Hono<HttpEnv>()
  .get("/models", listModelObjects)
  .get("/models/:id{.+}", getModelObject)
  .post("/chat/completions", chatCompletions);
