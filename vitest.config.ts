import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { cloudflareTest, readD1Migrations } from "@cloudflare/vitest-plugin";
import { defineConfig } from "vitest/config";
import { calmly } from "./test/calm-market.ts";
import { accountModelSettings, modelSettings } from "./test/model-settings.ts";
import { quietRuntime } from "./test/quiet-runtime.ts";
import { testSecrets } from "./test/secrets.ts";

const migrationsDir = fileURLToPath(new URL("d1-migrations", import.meta.url));

const readMigrations = () => (existsSync(migrationsDir) ? readD1Migrations(migrationsDir) : []);

// Groups run one after the other: on a small machine a server under test must not compete with other tests.
// They count from 1, because vitest may put files of group 0 at the end.
const inOrder = (groupOrder: number) => ({ sequence: { groupOrder } });

// As in wrangler.toml, but a batch waits for a second only: what a test leaves in the queue may reach the next one's log.
const queueConsumers = {
  receipts: { maxBatchSize: 100, maxBatchTimeout: 1, maxRetries: 10, deadLetterQueue: "receipts-dead" },
};

// wrangler looks for the secrets that wrangler.toml requires in the environment, and would warn that they are missing.
Object.assign(process.env, testSecrets);

quietRuntime();

export default defineConfig({
  test: {
    // Events of the edge are of interest only where a test fails.
    silent: "passed-only",
    projects: [
      {
        test: {
          name: "unit",
          include: ["test/unit/**/*.test.ts"],
          testTimeout: 20_000,
          // Node says of its SQLite that it is new.
          execArgv: ["--disable-warning=ExperimentalWarning"],
          ...inOrder(1),
        },
      },
      {
        plugins: [
          cloudflareTest(async () => ({
            wrangler: { configPath: "./wrangler.toml" },
            miniflare: {
              bindings: {
                ...testSecrets,
                TOLLMILL_PARAMETERS: calmly(),
                TEST_MIGRATIONS: await readMigrations(),
              },
              queueConsumers,
            },
          })),
        ],
        test: {
          name: "workers",
          include: ["test/workers/**/*.test.ts"],
          setupFiles: ["./test/workers/setup.ts"],
          // The set-up file isolates each test; a new isolate per file would cost seconds and isolate less.
          isolate: false,
          testTimeout: 30_000,
          provide: { model: modelSettings(process.env), accountModel: accountModelSettings(process.env) },
          ...inOrder(2),
        },
      },
      {
        test: {
          name: "e2e",
          // Most of what tests of the whole network do is to wait for it.
          maxConcurrency: 12,
          include: ["test/e2e/**/*.test.ts"],
          exclude: ["test/e2e/kills/**"],
          testTimeout: 60_000,
          hookTimeout: 60_000,
          fileParallelism: false,
          ...inOrder(3),
        },
      },
      {
        test: {
          // They pass the same points however slow the machine is, so two files may share it, also with other projects.
          name: "kills",
          include: ["test/e2e/kills/**/*.test.ts"],
          testTimeout: 60_000,
          hookTimeout: 60_000,
          maxWorkers: 2,
          ...inOrder(4),
        },
      },
      {
        test: {
          name: "browser",
          include: ["test/browser/**/*.test.ts"],
          testTimeout: 60_000,
          hookTimeout: 60_000,
          fileParallelism: false,
          ...inOrder(5),
        },
      },
    ],
  },
});
