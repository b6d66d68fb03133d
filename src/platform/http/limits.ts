/** Limits of the HTTP server; every one has a default. */
export interface HttpLimits {
  /** Largest request body of a route that does not say otherwise, bytes. */
  readonly bodyBytesMax: number;
  /** Largest sum of a request's header bytes. */
  readonly headerBytesMax: number;
  /** Longest path parameter, characters. */
  readonly parameterCharsMax: number;
  /** Longest a client may take to send a whole request, milliseconds. */
  readonly requestTimeoutMs: number;
  /** Longest a client may take to send the headers, milliseconds: slowloris ends here. */
  readonly headersTimeoutMs: number;
  /** How long an idle kept-alive connection stays open, milliseconds. */
  readonly keepAliveTimeoutMs: number;
  /** Longest an answer may take, milliseconds; then 503. Streams are exempt once they began. */
  readonly handlerTimeoutMs: number;
  /** Requests being answered at once; the next one is refused with 503. */
  readonly inFlightMax: number;
  /** Delay of the event loop that sheds load, milliseconds; 0 switches it off. */
  readonly loopDelayMaxMs: number;
  /** Requests a minute per credential; 0 switches the limit off. */
  readonly ratePerMinute: number;
  /** Requests a minute per address without a credential or with a bad one; 0 switches it off. */
  readonly anonymousRatePerMinute: number;
  /** Requests a minute per brand, over all of its credentials; 0 switches it off. */
  readonly tenantRatePerMinute: number;
  /** Requests a minute per address where shoppers pay, within a brand; 0 switches it off. */
  readonly shopperRatePerMinute: number;
  /** Exports that stream at once per brand; 0 switches the limit off. */
  readonly exportsMax: number;
  /** Live streams open at once. */
  readonly streamsMax: number;
}

/** Limits that suit one process on a small machine. */
export const defaultHttpLimits: HttpLimits = {
  bodyBytesMax: 1_048_576,
  headerBytesMax: 16_384,
  parameterCharsMax: 200,
  requestTimeoutMs: 60_000,
  headersTimeoutMs: 10_000,
  keepAliveTimeoutMs: 65_000,
  handlerTimeoutMs: 30_000,
  inFlightMax: 1_000,
  loopDelayMaxMs: 250,
  ratePerMinute: 1_200_000,
  anonymousRatePerMinute: 6_000,
  tenantRatePerMinute: 2_400_000,
  shopperRatePerMinute: 120_000,
  exportsMax: 4,
  streamsMax: 500,
};
