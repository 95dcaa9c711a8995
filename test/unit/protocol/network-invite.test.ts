import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type AccountId, base62, type NetworkId } from "../../../core/ids.ts";
import { secretHashOf } from "../../../protocol/api-key.ts";
import { formatInviteToken } from "../../../protocol/invite-token.ts";
import { formatNetworkInvite, parseNetworkInvite } from "../../../protocol/network-invite-token.ts";
import { seedOf } from "../../support/receipts.ts";

const edgeKey = seedOf("edge");
const network = base62(seedOf("network").subarray(0, 16)) as NetworkId;
const secret = seedOf("secret");

describe("an invite's token", () => {
  const token = formatNetworkInvite(network, secret, edgeKey);

  it("names its network, and is read back", () => {
    expect(token).toMatch(new RegExp(`^tmn_${network}[0-9A-Za-z]{49}$`));
    expect(parseNetworkInvite(token, edgeKey)).toEqual({ network, secretHash: secretHashOf(secret) });
  });

  it("with any character changed is refused, so that a forged one asks nobody", () => {
    fc.assert(
      fc.property(fc.nat(token.length - 1), fc.constantFrom(..."0Az_-é"), (index, character) => {
        const changed = token.slice(0, index) + character + token.slice(index + 1);
        if (changed !== token) expect(parseNetworkInvite(changed, edgeKey)).toBeNull();
      }),
    );
  });

  it("is no other network's, and no invite to a team", () => {
    expect(parseNetworkInvite(token, seedOf("another edge"))).toBeNull();
    const team = formatInviteToken(network as string as AccountId, secret, edgeKey);
    expect(parseNetworkInvite(`tmn_${team.slice(4)}`, edgeKey)).toBeNull();
  });
});
