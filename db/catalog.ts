/** The model catalog in D1. */

import type { D1Database } from "@cloudflare/workers-types";
import { asc, eq } from "drizzle-orm";
import { type CatalogModel, catalogModel } from "../protocol/catalog.ts";
import { open } from "./client.ts";
import { models } from "./schema.ts";

/** Every model, in order of id. */
export async function listModels(db: D1Database): Promise<CatalogModel[]> {
  return open(db).select().from(models).orderBy(asc(models.id)).all();
}

/** A model by its id, or null. */
export async function getModel(db: D1Database, id: string): Promise<CatalogModel | null> {
  return (await open(db).select().from(models).where(eq(models.id, id)).get()) ?? null;
}

/** Adds a model, or replaces the one of its id. Throws a ZodError when it is no `catalogModel`. */
export async function putModel(db: D1Database, model: CatalogModel): Promise<void> {
  const row = catalogModel.parse(model);
  await open(db).insert(models).values(row).onConflictDoUpdate({ target: models.id, set: row }).run();
}
