import { applyD1Migrations, type D1Migration, reset } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, vi } from "vitest";

// The binding exists in tests only, so it is typed here and not in the Worker's own environment.
const { TEST_MIGRATIONS } = env as typeof env & { TEST_MIGRATIONS: D1Migration[] };

// Tests share one runtime, so each begins with empty storage and the current schema.
beforeEach(async () => {
  await reset();
  await applyD1Migrations(env.DB, TEST_MIGRATIONS);
});

// They also share one clock and one console with the objects under test.
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});
