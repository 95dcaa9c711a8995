/**
 * The message that a wallet signs, as the wallet standard's `solana:signIn` writes it (Sign In With Solana). It is only ever
 * written here and never read: what comes back is held against the very text that was given out (docs/decisions/0033).
 */

/** `SolanaSignInInput` of the wallet standard, with what this network always names. */
export interface SignInInput {
  /** Host and port of the page or network that asks. */
  readonly domain: string;
  /** The wallet's public key in base58. */
  readonly address: string;
  /** One line of text for the wallet's owner. */
  readonly statement: string;
  readonly uri: string;
  readonly version: "1";
  /** The chain of the wallet standard, such as `solana:mainnet`. */
  readonly chainId: string;
  /** Eight or more letters and digits. */
  readonly nonce: string;
  /** RFC 3339, as is the next. */
  readonly issuedAt: string;
  readonly expirationTime: string;
  readonly requestId: string;
  readonly resources: readonly string[];
}

/** The text of an input. Throws a RangeError where a part has a line end, as it could then pass for another part. */
export function signInMessage(input: SignInInput): string {
  const { domain, address, statement, uri, version, chainId, nonce, issuedAt, expirationTime, requestId } = input;
  const fields = [
    `URI: ${uri}`,
    `Version: ${version}`,
    `Chain ID: ${chainId}`,
    `Nonce: ${nonce}`,
    `Issued At: ${issuedAt}`,
    `Expiration Time: ${expirationTime}`,
    `Request ID: ${requestId}`,
    ...(input.resources.length === 0 ? [] : ["Resources:", ...input.resources.map((resource) => `- ${resource}`)]),
  ];
  if ([domain, address, statement, ...fields].some((part) => /[\r\n]/.test(part))) {
    throw new RangeError("a part of a sign-in message has a line end");
  }
  const head = `${domain} wants you to sign in with your Solana account:\n${address}`;
  return `${head}\n\n${statement}\n\n${fields.join("\n")}`;
}
