/** `tollmill engines`: the engine that a daemon would serve, and what it would offer of it. */

import { chooseModels, LEFT_OUT_HINT } from "../engines/served-models.ts";
import { EXIT, type ExitCode } from "../failure.ts";
import { table } from "../output/tables.ts";
import type { Context } from "./context.ts";
import { type DaemonFlags, openEngine } from "./serve.ts";

export async function showEngines(context: Context, flags: DaemonFlags): Promise<ExitCode> {
  const engine = await openEngine(flags, (text) => context.terminal.err(text));
  try {
    const { chosen, skipped, leftOut } = chooseModels(await engine.models(), flags.serve);
    const { terminal } = context;
    if (leftOut > 0) terminal.err(`${leftOut} more ${leftOut === 1 ? "is" : "are"} left out: ${LEFT_OUT_HINT}`);
    if (flags.json === true) {
      for (const [id, { name, quantization, context: length, loaded, features }] of chosen) {
        terminal.out(
          JSON.stringify({ engine: engine.label, id, name, quantization, context: length, loaded, features }),
        );
      }
      return EXIT.ok;
    }
    terminal.out(engine.label);
    const rows = [...chosen].map(([id, model]) => [
      id,
      model.name,
      model.quantization ?? "?",
      model.context === null ? "?" : String(model.context),
      model.loaded ? "yes" : "no",
    ]);
    terminal.out(table(["catalog id", "engine's name", "class", "context", "loaded"], rows, ["context"]));
    for (const name of skipped) terminal.err(`${name}: no id of a catalog; name one with --serve ${name}=ID`);
    return EXIT.ok;
  } finally {
    await engine.close();
  }
}
