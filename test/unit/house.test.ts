import ts from "typescript";
import { describe, expect, it } from "vitest";
import { cruise, plant } from "./import-rules.ts";
import { countLines, edgeFolders, folders, read, root, sourceFiles } from "./source-files.ts";

describe("imports", () => {
  it("run one way", async () => {
    const { violations, edges } = await cruise(root, folders);
    expect(violations).toEqual([]);
    // A cruise that resolves nothing would find nothing to complain about.
    expect(edges).toContain("workers/index.ts -> durable-objects/account/index.ts");
  });

  it("are refused wherever a rule forbids them", async () => {
    const planted = {
      "core/amount.ts": 'import "../protocol/shape.ts";',
      "core/clock.ts": 'import "node:fs";',
      "core/bare.ts": 'import "fs";',
      "protocol/shape.ts": 'import type { A } from "../db/schema.ts"; export type B = A;',
      "protocol/env.ts": 'import "cloudflare:workers";',
      "db/schema.ts": 'import "../durable-objects/account.ts"; export type A = 1;',
      "durable-objects/account.ts": "export const allowed = 1;",
      "durable-objects/relay.ts": 'import "../db/tables.ts"; import "../core/leaf.ts";',
      "db/tables.ts": 'import "../core/leaf.ts";',
      "core/leaf.ts": "export const leaf = 1;",
      "queues/receipts.ts":
        'import "../workers/route.ts"; import "../db/tables.ts"; import "../durable-objects/relay.ts";',
      "workers/route.ts": 'import "../test/secrets.ts";',
      "test/secrets.ts": "export const secrets = {};",
      "daemon/main.ts": 'import "../workers/route.ts";',
      "web/page.ts": 'import "../db/tables.ts";',
      "localnet/start.ts": 'import "../queues/receipts.ts";',
      "core/ring.ts": 'import "./ring-back.ts";',
      "core/ring-back.ts": 'import "./ring.ts";',
      "core/lost.ts": 'import "./nowhere.ts";',
    };
    const { violations } = await plant(planted);
    expect(violations.sort()).toEqual(
      [
        "core-imports: core/amount.ts -> protocol/shape.ts",
        "platform-free-builtin: core/bare.ts -> fs",
        "platform-free-builtin: core/clock.ts -> fs",
        "platform-free: protocol/env.ts -> cloudflare:workers",
        "protocol-imports: protocol/shape.ts -> db/schema.ts",
        "db-imports: db/schema.ts -> durable-objects/account.ts",
        "durable-objects-imports: durable-objects/relay.ts -> db/tables.ts",
        "queues-imports: queues/receipts.ts -> workers/route.ts",
        "workers-imports: workers/route.ts -> test/secrets.ts",
        "daemon-imports: daemon/main.ts -> workers/route.ts",
        "web-imports: web/page.ts -> db/tables.ts",
        "localnet-imports: localnet/start.ts -> queues/receipts.ts",
        "no-circular: core/ring-back.ts -> core/ring.ts",
        "resolvable: core/lost.ts -> ./nowhere.ts",
      ].sort(),
    );
  });
});

/** Calls `visit` for every node of a file, so that rules judge code and not comments or strings. */
function walk(path: string, visit: (node: ts.Node) => boolean): string[] {
  const file = ts.createSourceFile(path, read(path), ts.ScriptTarget.Latest, true);
  const found: string[] = [];
  const each = (node: ts.Node): void => {
    if (visit(node)) found.push(`${path}:${file.getLineAndCharacterOfPosition(node.getStart()).line + 1}`);
    ts.forEachChild(node, each);
  };
  each(file);
  return found;
}

describe("sources", () => {
  it("are at most 400 lines long", () => {
    expect(sourceFiles().filter((path) => countLines(read(path)) > 400)).toEqual([]);
  });

  it("are named in kebab-case", () => {
    const part = "[a-z0-9]+(-[a-z0-9]+)*";
    const kebab = new RegExp(`^(${part}/)+${part}(\\.(test|config|d))?\\.[a-z]+$`);
    expect(sourceFiles().filter((path) => !kebab.test(path))).toEqual([]);
  });

  it("of objects hide methods with #, since anything else can be called over RPC", () => {
    const hidesByType = (node: ts.Node) =>
      ts.isClassElement(node) &&
      ts.canHaveModifiers(node) &&
      (ts.getModifiers(node) ?? []).some(
        ({ kind }) => kind === ts.SyntaxKind.PrivateKeyword || kind === ts.SyntaxKind.ProtectedKeyword,
      );
    expect(sourceFiles(["durable-objects"]).flatMap((path) => walk(path, hidesByType))).toEqual([]);
  });

  it("of the edge speak through the events module only", () => {
    const isConsole = (node: ts.Node) =>
      ts.isPropertyAccessExpression(node) && ts.isIdentifier(node.expression) && node.expression.text === "console";
    const files = sourceFiles(edgeFolders).filter((path) => path !== "durable-objects/shared/events.ts");
    expect(files.flatMap((path) => walk(path, isConsole))).toEqual([]);
  });
});

describe("wrangler.toml", () => {
  it("names the days of its crons, because Cloudflare counts Sunday as 1", () => {
    const list = /^crons\s*=\s*\[([^\]]*)\]/m.exec(read("wrangler.toml"))?.[1];
    expect(list).toBeDefined();
    const crons = [...(list ?? "").matchAll(/"([^"]+)"/g)].map(([, cron]) => cron ?? "");
    const byName = /^(\*|(SUN|MON|TUE|WED|THU|FRI|SAT)([,-](SUN|MON|TUE|WED|THU|FRI|SAT))*)$/;
    expect(crons.filter((cron) => !byName.test(cron.split(/\s+/)[4] ?? ""))).toEqual([]);
  });
});
