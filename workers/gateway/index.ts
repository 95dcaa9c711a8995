import { Hono } from "hono";
import type { HttpEnv } from "../http.ts";

/** A placeholder without routes. */
export const gateway = new Hono<HttpEnv>();
