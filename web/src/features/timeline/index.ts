export { TimelinePage } from "./TimelinePage";
