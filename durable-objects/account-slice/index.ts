export { AccountSlice } from "./account-slice.ts";
