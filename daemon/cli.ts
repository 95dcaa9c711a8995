/** The command line `tollmill`. */

import { Command, CommanderError, Option } from "commander";
import { LIMITS } from "../core/limits.ts";
import packageJson from "../package.json" with { type: "json" };
import { TIERS } from "../protocol/daemon/messages.ts";
import { addKeys, addService, addUsage } from "./account-commands.ts";
import { addAdmin } from "./admin-commands.ts";
import { showBalance } from "./commands/balance.ts";
import type { Context, GlobalFlags } from "./commands/context.ts";
import { diagnose } from "./commands/doctor.ts";
import { showEngines } from "./commands/engines.ts";
import { showDailyEpochs } from "./commands/epochs.ts";
import { showInvariants } from "./commands/invariants.ts";
import { type LedgerFlags, showLedger } from "./commands/ledger.ts";
import { MIRROR_HELP, type MirrorFlags, showMirror } from "./commands/mirror.ts";
import { type SendFlags, send } from "./commands/send.ts";
import { type DaemonFlags, serve } from "./commands/serve.ts";
import { type VerifyFlags, verify } from "./commands/verify-receipt.ts";
import { watchBalance } from "./commands/watch-balance.ts";
import { showWhy, type WhyFlags } from "./commands/why.ts";
import { addDeposits } from "./deposit-commands.ts";
import { EXIT, type ExitCode, Failure } from "./failure.ts";
import { decimal, featureEntry, httpUrl, networkEntry, scheduleEntry, serveEntry, wholeNumber } from "./flags.ts";
import { addLocal } from "./local-commands.ts";
import { addMarket } from "./market-commands.ts";
import { addNetworks } from "./network-commands.ts";
import { wantsJson, writeError } from "./output/errors.ts";
import { addDaemons } from "./supply-commands.ts";
import { addTeam } from "./team-commands.ts";
import { addWallets } from "./wallet-commands.ts";

/** Runs a command line (without node and script) and gives its exit code. Throws only for bugs. */
export async function runCli(
  args: readonly string[],
  context: Context,
  signals: NodeJS.EventEmitter,
): Promise<ExitCode> {
  const { terminal } = context;
  const json = wantsJson(args);
  let exit: ExitCode = EXIT.ok;
  const program = describe(context, json, signals, (code) => {
    exit = code;
  });
  try {
    await program.parseAsync([...args], { from: "user" });
    return exit;
  } catch (error) {
    if (error instanceof CommanderError) {
      // A help text and a version are no errors.
      if (error.exitCode === 0) return EXIT.ok;
      // For people Commander has printed its message.
      if (json) writeError(terminal, json, usageMessage(error), EXIT.usage);
      return EXIT.usage;
    }
    if (!(error instanceof Failure)) throw error;
    writeError(terminal, json, error.message, error.exitCode);
    return error.exitCode;
  }
}

/** What is wrong with a command line, on one line. */
function usageMessage({ code, message }: CommanderError): string {
  // Where a command is missing Commander shows the help and throws no words of its own.
  const words = code === "commander.help" ? "A command is missing." : message.replace(/^error: /, "");
  return `${words.replace(/\s+/g, " ")} ${HINT}`;
}

const HINT = "(tollmill --help shows what there is)";

function describe(
  context: Context,
  json: boolean,
  signals: NodeJS.EventEmitter,
  done: (code: ExitCode) => void,
): Command {
  const program = new Command("tollmill")
    .description("An open market for AI inference: serve your GPU, see your credits, verify receipts.")
    .option(
      "--url <url>",
      "the network (TOLLMILL_URL; else the local network of this folder, else http://127.0.0.1:8787)",
    )
    .option(
      "--api-key <key>",
      "the account's key (TOLLMILL_API_KEY; else the session of tollmill login, or the key of the local network here)",
    )
    .option("--json", "write NDJSON, and an error as one line of JSON")
    .version(packageJson.version, "--version", "print the version")
    .showHelpAfterError(HINT)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => context.terminal.out(text.trimEnd()),
      writeErr: (text) => {
        if (!json) context.terminal.err(text.trimEnd());
      },
    })
    .addHelpText("after", `\n${EXIT_CODES}`);

  addDaemonOptions(program.command("daemon").description("serve this machine's engine to the network")).action(
    async (_flags, command: Command) => {
      done(await serve(context, command.optsWithGlobals<DaemonFlags>(), signals));
    },
  );
  addDaemonOptions(
    program.command("doctor").description("check what a daemon needs, with the options it is started with"),
  ).action(async (_flags, command: Command) => {
    done(await diagnose(context, command.optsWithGlobals<DaemonFlags>()));
  });
  program
    .command("why")
    .description("why the account's daemons are given no jobs, by decisions of the last hour")
    .argument("[daemon]", "one of them")
    .option("--model <id>", "a model of the catalog (else those that it offers)")
    .action(async (daemon: string | undefined, _flags, command: Command) => {
      done(await showWhy(context, daemon, command.optsWithGlobals<WhyFlags>()));
    });
  addEngineOptions(
    program.command("engines").description("the engine that a daemon would serve, and its models"),
  ).action(async (_flags, command: Command) => {
    done(await showEngines(context, command.optsWithGlobals<DaemonFlags>()));
  });
  program
    .command("balance")
    .description("what the account has")
    .option("--watch", "print it again whenever it changes, until a signal")
    .action(async ({ watch }: { watch?: boolean }, command: Command) => {
      const flags = command.optsWithGlobals<GlobalFlags>();
      done(watch === true ? await watchBalance(context, flags, signals) : await showBalance(context, flags));
    });
  program
    .command("ledger")
    .description("the account's entries, oldest first")
    .option("--from <seq>", "the first entry to show", wholeNumber(1, Number.MAX_SAFE_INTEGER), 1)
    .option("--limit <n>", "the most entries to show", wholeNumber(1, LIMITS.maxPageRows), LIMITS.pageRows)
    .addOption(
      new Option("--mirror <file>", "keep and check a copy of all entries (see below)").conflicts(["from", "limit"]),
    )
    .option("--recheck", "with --mirror: hold every line against the network's again, every signature too")
    .option("--network-key <key>", "with --mirror: the network's public key (else the network is asked)")
    .addHelpText("after", MIRROR_HELP)
    .action(async (_flags, command: Command) => {
      const flags = command.optsWithGlobals<LedgerFlags & Partial<MirrorFlags>>();
      const { mirror } = flags;
      if (mirror === undefined && (flags.recheck === true || flags.networkKey !== undefined)) {
        throw new Failure(EXIT.usage, "--recheck and --network-key go with --mirror FILE.");
      }
      done(await (mirror === undefined ? showLedger(context, flags) : showMirror(context, { ...flags, mirror })));
    });
  program
    .command("invariants")
    .description("the network's sums that must be zero; exits with 1 where one is not")
    .action(async (_flags, command: Command) => {
      done(await showInvariants(context, command.optsWithGlobals<GlobalFlags>()));
    });
  addWallets(program, context, done);
  program
    .command("epochs")
    .description("the network's epochs")
    .command("daily")
    .description("the rate of today's allotments and tomorrow's, and how they come about")
    .action(async (_flags, command: Command) => {
      done(await showDailyEpochs(context, command.optsWithGlobals<GlobalFlags>()));
    });
  addUsage(program, context, done);
  addService(program, context, done);
  addKeys(program, context, done);
  addDaemons(program, context, done);
  addMarket(program, context, done);
  addTeam(program, context, done);
  addNetworks(program, context, done);
  addDeposits(program, context, done);
  program
    .command("send")
    .description("send credits to another account; without --yes it only says what it would do")
    .argument("<account>", "the account that gets them")
    .argument("<credits>", "how many, with at most three places")
    .option("--memo <text>", "what it is for", "")
    .option("--id <id>", "the transfer's id: the same id never sends twice")
    .option("--yes", "really send")
    .action(async (to: string, amount: string, _flags, command: Command) => {
      done(await send(context, to, amount, command.optsWithGlobals<SendFlags>()));
    });
  program
    .command("receipts")
    .description("receipts of the account's jobs")
    .command("verify")
    .description("check a receipt on this machine")
    .argument("<file|job>", "a file with the receipt as JSON, - for standard input, or the id of a job")
    .option("--network-key <key>", "the network's public key in base64url (else the network is asked)")
    .option("--offline", "ask the network nothing")
    .action(async (source: string, _flags, command: Command) => {
      done(await verify(context, source, command.optsWithGlobals<VerifyFlags>()));
    });
  addLocal(program, context, done);
  addAdmin(program, context, done);
  return program;
}

const EXIT_CODES = `Exit codes: ${EXIT.ok} done, ${EXIT.checkFailed} a check failed, ${EXIT.usage} a wrong command line or file,
${EXIT.unreachable} network or engine not reachable, ${EXIT.refused} refused by the network, ${EXIT.broken} something broke,
${EXIT.interrupted} stopped by a second signal.`;

/** How a daemon is started: its folder, its engine, and what it costs to run. */
function addDaemonOptions(command: Command): Command {
  return addEngineOptions(command)
    .option("--home <folder>", "where the daemon's key and its claims are kept")
    .option("--name <name>", "how the account's list calls this daemon (else the host's name)")
    .addOption(new Option("--tier <tier>", "the kind of machine").choices(TIERS).default("desktop"))
    .option("--watts <n>", "what the machine draws under load (else the GPU's limit)", decimal(0.1, 100_000))
    .option("--usd-per-kwh <usd>", "the price of electricity", decimal(0, 10), 0.12)
    .addOption(
      new Option("--accepts <jobs>", "jobs paid in USDC alone, or any").choices(["usdc", "any"]).default("any"),
    )
    .option(
      "--margin <factor>",
      "what it asks at least in auctions, as a multiple of what its power costs (else the network's 1.1)",
      decimal(1, 100),
    )
    .option("--network <id>", "a private network to serve as well, as a member of it (repeatable)", networkEntry, [])
    .addOption(
      new Option("--payout <asset>", "what the account is paid in").choices(["usdc", "credits"]).default("credits"),
    )
    .option(
      "--schedule <times>",
      'when to take jobs, such as "mon-fri 22:00-06:00, sat-sun in Europe/Berlin" (else always)',
      scheduleEntry,
    )
    .option("--on-ac-only", "take no jobs on battery power")
    .option("--max-gpu-temp <celsius>", "take no jobs while a GPU is hotter (NVIDIA's)", wholeNumber(30, 120));
}

/** Which engine, and what of it is offered. */
function addEngineOptions(command: Command): Command {
  return command
    .option(
      "--engine <url>",
      "an engine with OpenAI's API (else the usual ones are looked for on this machine)",
      httpUrl,
    )
    .option("--engine-key <key>", "the engine's own key, if it wants one")
    .option("--model <file>", "a GGUF model to run in this process, instead of an engine")
    .addOption(new Option("--gpu <use>", "of the embedded engine").choices(["auto", "off"]).default("auto"))
    .option("--threads <n>", "CPU threads of the embedded engine", wholeNumber(1, 1_024))
    .option("--context <tokens>", "the context to offer (and of the embedded engine)", wholeNumber(64, 100_000_000))
    .option("--slots <n>", "jobs at once", wholeNumber(1, LIMITS.daemonSlots))
    .option(
      "--serve <name=id>",
      "offer the engine's model NAME as ID of the catalog (repeatable)",
      serveEntry,
      new Map(),
    )
    .option(
      "--feature <name>",
      "a feature that the engine has beyond what is known of it (repeatable)",
      featureEntry,
      [],
    )
    .addOption(new Option("--quantization <class>", "of the models offered").choices(["q4", "q8", "fp16"]));
}
