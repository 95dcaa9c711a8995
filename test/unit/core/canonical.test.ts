import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { canonicalText, hashBytes, hashText, signedBytes } from "../../../core/receipt/canonical.ts";

/** A double from its bits, as RFC 8785's appendix B lists numbers. */
const double = (bits: string) => new DataView(Uint8Array.from(Buffer.from(bits, "hex")).buffer).getFloat64(0);

describe("canonical text (RFC 8785)", () => {
  it("sorts keys by their UTF-16 code units, at every depth (§3.2.3)", () => {
    const value = {
      "\u20ac": "Euro Sign",
      "\r": "Carriage Return",
      "\ufb33": "Hebrew Letter Dalet With Dagesh",
      "1": "One",
      "\ud83d\ude00": "Emoji: Grinning Face",
      "\u0080": "Control",
      "\u00f6": "Latin Small Letter O With Diaeresis",
    };
    const keys = [...canonicalText(value).matchAll(/"([^"]+)":"[^"]+"/g)].map(([, name]) => name);
    expect(keys).toEqual(["\\r", "1", "\u0080", "\u00f6", "\u20ac", "\ud83d\ude00", "\ufb33"]);
    expect(canonicalText({ b: { d: 1, c: 2 }, a: [{ z: 1, y: 2 }] })).toBe('{"a":[{"y":2,"z":1}],"b":{"c":2,"d":1}}');
  });

  it("keeps arrays in their order and leaves out what is undefined", () => {
    expect(canonicalText([3, 1, null, 2, true])).toBe("[3,1,null,2,true]");
    expect(canonicalText({ a: undefined, b: null })).toBe('{"b":null}');
    expect([canonicalText([]), canonicalText({}), canonicalText("")]).toEqual(["[]", "{}", '""']);
  });

  it("writes the example of the RFC (§3.2.2)", () => {
    const value = {
      numbers: [Number("333333333.33333329"), 1e30, 4.5, 2e-3, 0.000000000000000000000000001],
      string: "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"/",
      literals: [null, true, false],
    };
    expect(canonicalText(value)).toBe(
      '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}',
    );
  });

  it.each([
    ["0000000000000000", "0"],
    ["8000000000000000", "0"],
    ["0000000000000001", "5e-324"],
    ["8000000000000001", "-5e-324"],
    ["7fefffffffffffff", "1.7976931348623157e+308"],
    ["ffefffffffffffff", "-1.7976931348623157e+308"],
    ["4340000000000000", "9007199254740992"],
    ["c340000000000000", "-9007199254740992"],
    ["4430000000000000", "295147905179352830000"],
    ["44b52d02c7e14af5", "9.999999999999997e+22"],
    ["44b52d02c7e14af6", "1e+23"],
    ["44b52d02c7e14af7", "1.0000000000000001e+23"],
    ["444b1ae4d6e2ef4e", "999999999999999700000"],
    ["444b1ae4d6e2ef4f", "999999999999999900000"],
    ["444b1ae4d6e2ef50", "1e+21"],
    ["3eb0c6f7a0b5ed8c", "9.999999999999997e-7"],
    ["3eb0c6f7a0b5ed8d", "0.000001"],
    ["41b3de4355555553", "333333333.3333332"],
    ["41b3de4355555555", "333333333.3333333"],
    ["becbf647612f3696", "-0.0000033333333333333333"],
    ["43143ff3c1cb0959", "1424953923781206.2"],
  ])("writes the double %s as %s (appendix B)", (bits, text) => {
    expect(canonicalText(double(bits))).toBe(text);
  });

  it.each([
    ["NaN", Number.NaN],
    ["infinity", [Number.POSITIVE_INFINITY]],
    ["half a surrogate pair", "\ud800"],
    ["half a surrogate pair as a key", { "\udead": 1 }],
    ["nothing", undefined],
    ["a big integer", 1n],
  ])("refuses %s", (_, value) => {
    expect(() => canonicalText(value)).toThrow();
  });

  it("escapes control characters and nothing else (§3.2.2.2)", () => {
    expect(canonicalText("\b\t\n\f\r\u0000\u001f\u007f/\u2028é😀")).toBe(
      '"\\b\\t\\n\\f\\r\\u0000\\u001f\u007f/\u2028é😀"',
    );
    // No Unicode normalisation: two spellings of one character stay two texts.
    expect(canonicalText("\u00e9")).not.toBe(canonicalText("e\u0301"));
  });

  it("is a fixed point, whatever the order of keys was", () => {
    const value = fc.jsonValue({ noUnicodeString: false }).filter((json) => JSON.stringify(json).isWellFormed());
    const isWritable = (json: unknown) => !/\\ud[89a-f]/i.test(JSON.stringify(json));
    fc.assert(
      fc.property(value.filter(isWritable), (json) => {
        const text = canonicalText(json);
        expect(canonicalText(JSON.parse(text))).toBe(text);
        expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(json)));
      }),
    );
  });
});

describe("hashes and signed bytes", () => {
  it("are SHA-256 in hex, of a text's UTF-8", () => {
    expect(hashText("abc")).toBe("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    expect(hashText("é")).toBe(hashBytes(Uint8Array.of(0xc3), Uint8Array.of(0xa9)));
    expect(hashBytes()).toBe("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  });

  it("name what is signed in a line of its own", () => {
    expect(new TextDecoder().decode(signedBytes("tollmill/test/v1", '{"a":1}'))).toBe('tollmill/test/v1\n{"a":1}');
  });
});
