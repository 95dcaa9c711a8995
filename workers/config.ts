/** The environment, read once per isolate and narrowed: nothing behind this file sees a raw variable. */

import { ed25519 } from "@noble/curves/ed25519.js";
import { base58 } from "@scure/base";
import { type Parameters, parseParameters } from "../core/parameters.ts";
import { hexToBytes } from "../core/receipt/canonical.ts";
import { REGION } from "../protocol/internal/names.ts";
import { isAddress } from "../protocol/solana/pay-url.ts";
import { type Operator, OperatorsError, parseOperators } from "./operators.ts";

export interface Config {
  /** The network's name: part of every receipt. */
  readonly network: string;
  /** The region of whoever is nearest to no other one. */
  readonly region: string;
  /** All regions, this one first. */
  readonly regions: readonly Region[];
  /** Relays that share the region's daemons. */
  readonly shards: number;
  /** 32 bytes: the root of every MAC that the edge makes. */
  readonly edgeKey: Uint8Array;
  /** Who may call the operators' routes: one or more, no two with the same name or key. */
  readonly operators: readonly Operator[];
  readonly parameters: Parameters;
  /** The Solana chain whose wallets sign in, such as `mainnet`. */
  readonly solanaChain: string;
  /** How that chain is read, and where deposits are paid to; null for a network that does neither. */
  readonly solana: SolanaConfig | null;
}

export interface SolanaConfig {
  /** The URL of a node's JSON-RPC, which may carry a key. */
  readonly rpc: string;
  /** The treasury's wallet. */
  readonly treasury: string;
  readonly usdcMint: string;
  /** The mint of the token that is staked. */
  readonly stakeMint: string;
  /** How payments are taken that come with a call; null for a network that takes none. */
  readonly x402: X402Config | null;
}

export interface X402Config {
  /** The chain by CAIP-2. */
  readonly network: string;
  /** Who pays Solana's fees for such payments: its address, and the seed of its key. */
  readonly feePayer: string;
  readonly feePayerSeed: Uint8Array;
}

/** A region of schedulers and relays, with the continents that it serves, by Cloudflare's codes. */
export interface Region {
  readonly name: string;
  readonly continents: readonly string[];
}

/** A variable that is missing or malformed; its message says which one and how to set it. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
}

/**
 * Not in wrangler.toml: changes to the parameters for tests and private networks, as there the rules' own values hold; and
 * secrets that a network may do without.
 */
type Settings = Env & {
  readonly TOLLMILL_PARAMETERS?: string;
  readonly SOLANA_RPC_URL?: string;
  readonly X402_FEE_PAYER_SEED?: string;
};

const MAX_SHARDS = 1_024;

const read = new WeakMap<object, Config>();

/** The configuration of this isolate. Throws a {@link ConfigError} when the Worker is not set up. */
export function configOf(env: Env): Config {
  const known = read.get(env);
  if (known !== undefined) return known;
  const config = readConfig(env);
  read.set(env, config);
  return config;
}

/** Reads and checks every variable. */
export function readConfig(env: Settings): Config {
  const home = variable("TOLLMILL_REGION", env.TOLLMILL_REGION, REGION, "a name of a-z 0-9 -, at most 32 long");
  return Object.freeze({
    network: variable("TOLLMILL_NETWORK", env.TOLLMILL_NETWORK, /^[a-z0-9][a-z0-9-]{0,63}$/, "a name of a-z 0-9 -"),
    region: home,
    regions: [{ name: home, continents: [] }, ...otherRegions(env.OTHER_REGIONS, home)],
    shards: shards(env.RELAY_SHARDS),
    edgeKey: hexToBytes(secret("EDGE_KEY", env.EDGE_KEY, /^[0-9a-f]{64}$/, "64 hex digits (openssl rand -hex 32)")),
    operators: readOperators(env.ADMIN_KEY),
    parameters: parameters(env.TOLLMILL_PARAMETERS),
    solanaChain: variable(
      "SOLANA_CHAIN",
      env.SOLANA_CHAIN,
      /^(mainnet|devnet|testnet|localnet)$/,
      "mainnet, devnet, testnet or localnet",
    ),
    solana: solana(env),
  });
}

function variable(name: string, value: unknown, form: RegExp, what: string): string {
  if (typeof value === "string" && form.test(value)) return value;
  throw new ConfigError(`${name} must be ${what}. Set it under [vars] in wrangler.toml.`);
}

const OTHER_REGION = /^([a-z0-9][a-z0-9-]{0,31})=([A-Z]{2}(?:,[A-Z]{2})*)$/;

function otherRegions(value: string, home: string): Region[] {
  const regions = value.split(" ").flatMap((text) => {
    if (text === "") return [];
    const [, name, continents] = OTHER_REGION.exec(text) ?? [];
    return [{ name: name ?? "", continents: continents?.split(",") ?? [] }];
  });
  const names = new Set([home, "", ...regions.map(({ name }) => name)]);
  if (names.size === regions.length + 2) return regions;
  throw new ConfigError(
    'OTHER_REGIONS must be regions with their continents, each region once, such as "weur=EU,AF apac=AS,OC". ' +
      "Set it under [vars] in wrangler.toml.",
  );
}

function secret(name: string, value: unknown, form: RegExp, what: string): string {
  if (typeof value === "string" && form.test(value)) return value;
  throw new ConfigError(`The secret ${name} must be ${what}. Set it with \`wrangler secret put ${name}\`.`);
}

function readOperators(value: unknown): readonly Operator[] {
  try {
    return parseOperators(typeof value === "string" ? value : "");
  } catch (error) {
    if (!(error instanceof OperatorsError)) throw error;
    throw new ConfigError(`The secret ADMIN_KEY ${error.message} Set it with \`wrangler secret put ADMIN_KEY\`.`);
  }
}

function solana(env: Settings): SolanaConfig | null {
  const { SOLANA_RPC_URL: rpc, TREASURY_ADDRESS, USDC_MINT, STAKE_MINT } = env;
  if (rpc === undefined || rpc === "") return null;
  const url = URL.canParse(rpc) ? new URL(rpc) : null;
  return {
    // Its value is never repeated: it may carry a key.
    rpc: secret("SOLANA_RPC_URL", url === null ? "" : rpc, /^https?:/, "the http(s) URL of a Solana node"),
    treasury: address("TREASURY_ADDRESS", TREASURY_ADDRESS),
    usdcMint: address("USDC_MINT", USDC_MINT),
    stakeMint: address("STAKE_MINT", STAKE_MINT),
    x402: x402(env),
  };
}

/** Chains by CAIP-2: the first 32 characters of their genesis hashes. Clients know no local one (docs/decisions/0041). */
const CAIP2: Readonly<Record<string, string>> = {
  mainnet: "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp",
  devnet: "solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1",
  testnet: "solana:4uhcVJyU9pJkvQyS88uRDiswHXSCkY3z",
  localnet: "solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1",
};

function x402({ X402_FEE_PAYER_SEED: seed, TREASURY_ADDRESS, SOLANA_CHAIN }: Settings): X402Config | null {
  if (seed === undefined || seed === "") return null;
  const form = /^[0-9a-f]{64}$/;
  const feePayerSeed = hexToBytes(secret("X402_FEE_PAYER_SEED", seed, form, "64 hex digits (openssl rand -hex 32)"));
  const feePayer = base58.encode(ed25519.getPublicKey(feePayerSeed));
  if (feePayer === TREASURY_ADDRESS) {
    throw new ConfigError("The secret X402_FEE_PAYER_SEED must not be the treasury's: it signs what others write.");
  }
  return { network: CAIP2[SOLANA_CHAIN] ?? "", feePayer, feePayerSeed };
}

function address(name: string, value: string): string {
  if (isAddress(value)) return value;
  throw new ConfigError(`${name} must be an address of Solana in base58. Set it under [vars] in wrangler.toml.`);
}

function shards(value: unknown): number {
  const count = Number(variable("RELAY_SHARDS", value, /^[1-9]\d{0,3}$/, `a number from 1 to ${MAX_SHARDS}`));
  if (count <= MAX_SHARDS) return count;
  throw new ConfigError(`RELAY_SHARDS must be at most ${MAX_SHARDS}. Set it under [vars] in wrangler.toml.`);
}

function parameters(changes: string | undefined): Parameters {
  try {
    return parseParameters(changes);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new ConfigError(
      `TOLLMILL_PARAMETERS must be a JSON object of parameters, e.g. {"freeCancelMs":500}: ${reason}. ` +
        "Correct it under [vars] in wrangler.toml, or leave it out.",
    );
  }
}
