/** Front door of the event log. */
export {
  type AttributedEvent,
  appendEvents,
  eventDataBytesMax,
  flushEvents,
  writeEvents,
} from "./append.ts";
export { createEventAppender, type EventAppender, type EventAppenderLimits } from "./appender.ts";
export {
  createSubscriptionControl,
  type DeadLetter,
  type DeadLetterFilter,
  type SubscriptionControl,
  type SubscriptionStatus,
} from "./control.ts";
export {
  createEventRegistry,
  defineEvent,
  type EventDefinition,
  type EventRegistry,
  UnknownEventVersionError,
  type Upcaster,
} from "./definition.ts";
export {
  type EventMetadata,
  type EventOrigin,
  eventsTopic,
  jointOrigin,
  type LogPlace,
  type NewEvent,
  originOf,
  partitionCount,
  type RecordedEvent,
  readersTopic,
} from "./event.ts";
export {
  type EventCursor,
  type EventTail,
  type EventTailPage,
  eventsById,
  eventsOfRequest,
  eventsOfStream,
  eventsOfStreams,
  eventsPageMax,
  streamEvents,
} from "./queries.ts";
export {
  appendToStream,
  readStream,
  type StreamAppend,
  type StreamRange,
  streamVersion,
  type WrongVersion,
} from "./streams.ts";
export {
  type ExternalSubscription,
  type Subscription,
  type SubscriptionEvent,
  SubscriptionStalledError,
  type TransactionalSubscription,
} from "./subscription.ts";
export {
  createSubscriptions,
  type SubscribedDatabase,
  type Subscriptions,
  type SubscriptionsConfig,
} from "./subscriptions.ts";
