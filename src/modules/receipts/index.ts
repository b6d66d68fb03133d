export { documentsQueue, type IssuingDeps, receiptJobs, receiptSubscription } from "./jobs.ts";
export { receiptRoutes } from "./routes.ts";
