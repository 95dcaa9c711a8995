/** The daemon's Ed25519 key: made at the first start, kept in a file that only its owner can read. */

import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { chmod, mkdir, readFile, stat } from "node:fs/promises";
import { dirname } from "node:path";
import type { DaemonId } from "../../core/ids.ts";
import { base64url, daemonIdOf, parseBase64url } from "../../core/keys.ts";
import { EXIT, Failure, reasonOf, systemCode } from "../failure.ts";
import { writeWholeFile } from "../whole-file.ts";

export interface Identity {
  /** The public key in base58. */
  readonly id: DaemonId;
  /** Signs bytes; the signature in base64url. */
  sign(bytes: Uint8Array): string;
}

/** Reads the key as it is; null when there is no file yet. Throws a {@link Failure} for a file that is no such key. */
export async function readIdentity(path: string): Promise<Identity | null> {
  const pem = await readKey(path);
  return pem === null ? null : parseKey(path, pem);
}

/** Reads the key, or makes one when there is no file yet. Throws a {@link Failure} for a file that is no such key. */
export async function loadIdentity(path: string): Promise<{ identity: Identity; created: boolean }> {
  const identity = await readIdentity(path);
  if (identity === null) {
    const { privateKey } = generateKeyPairSync("ed25519");
    await writeKey(path, privateKey);
    return { identity: identityOf(privateKey), created: true };
  }
  await restrict(path);
  return { identity, created: false };
}

function parseKey(path: string, pem: string): Identity {
  let key: KeyObject;
  try {
    key = createPrivateKey(pem);
  } catch {
    throw new Failure(
      EXIT.usage,
      `${path} is not a private key in PEM. Restore it, or move it away to get a new daemon.`,
    );
  }
  if (key.asymmetricKeyType !== "ed25519") {
    throw new Failure(
      EXIT.usage,
      `${path} holds a ${key.asymmetricKeyType} key, but a daemon's is Ed25519. Move it away.`,
    );
  }
  return identityOf(key);
}

/** An identity from a private key. */
export function identityOf(privateKey: KeyObject): Identity {
  const { x } = createPublicKey(privateKey).export({ format: "jwk" });
  const publicKey = parseBase64url(x ?? "", 32);
  if (publicKey === null) throw new TypeError("not an Ed25519 key");
  return { id: daemonIdOf(publicKey), sign: (bytes) => base64url(sign(null, bytes, privateKey)) };
}

async function readKey(path: string): Promise<string | null> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (systemCode(error) === "ENOENT") return null;
    throw new Failure(EXIT.broken, `The key file ${path} cannot be read: ${reasonOf(error)}.`);
  }
}

async function writeKey(path: string, key: KeyObject): Promise<void> {
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    await writeWholeFile(path, key.export({ format: "pem", type: "pkcs8" }).toString());
  } catch (error) {
    throw new Failure(
      EXIT.broken,
      `The key file ${path} cannot be written: ${reasonOf(error)}. Choose another --home.`,
    );
  }
}

/** A key that others could read is closed to them; a file system without modes has none to change. */
async function restrict(path: string): Promise<void> {
  if (process.platform === "win32") return;
  const { mode } = await stat(path);
  if ((mode & 0o077) !== 0) await chmod(path, 0o600);
}
