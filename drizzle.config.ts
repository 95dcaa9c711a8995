import { defineConfig } from "drizzle-kit";

// Turns changes of the schema into numbered SQL files, which wrangler applies in order of their names.
export default defineConfig({
  dialect: "sqlite",
  schema: ["./db/schema.ts", "./db/deposit-schema.ts"],
  out: "./d1-migrations",
});
