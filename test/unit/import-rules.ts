import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { root } from "./source-files.ts";

interface CruiseReport {
  modules: { source: string; dependencies: { resolved: string }[] }[];
  summary: { violations: { from: string; to: string; rule: { name: string } }[] };
}

export interface Cruise {
  /** `rule: importing file -> imported file` */
  violations: string[];
  /** `importing file -> imported file` for everything that was read. */
  edges: string[];
}

/** Follows the imports of some folders and judges them by the project's rules. */
export function cruise(cwd: string, folders: readonly string[]): Promise<Cruise> {
  const program = join(root, "node_modules", ".bin", "depcruise");
  const args = ["--config", join(root, ".dependency-cruiser.cjs"), "--output-type", "json", ...folders];
  return new Promise((resolve, reject) => {
    // Violations make the program's status non-zero, so its output decides whether it worked.
    execFile(program, args, { cwd, maxBuffer: 1 << 28 }, (_error, stdout, stderr) => {
      if (!stdout.startsWith("{")) return reject(new Error(`depcruise gave no report: ${stderr}`));
      const { modules, summary } = JSON.parse(stdout) as CruiseReport;
      resolve({
        violations: summary.violations.map(({ rule, from, to }) => `${rule.name}: ${from} -> ${to}`),
        edges: modules.flatMap(({ source, dependencies }) =>
          dependencies.map(({ resolved }) => `${source} -> ${resolved}`),
        ),
      });
    });
  });
}

/** Writes a small tree of files somewhere else and cruises it. */
export async function plant(files: Record<string, string>): Promise<Cruise> {
  const tree = realpathSync(mkdtempSync(join(tmpdir(), "tollmill-imports-")));
  try {
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(join(tree, path)), { recursive: true });
      writeFileSync(join(tree, path), text);
    }
    return await cruise(tree, [...new Set(Object.keys(files).map((path) => path.split("/")[0] ?? ""))]);
  } finally {
    rmSync(tree, { recursive: true, force: true });
  }
}
