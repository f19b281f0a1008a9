export { DisplayPage } from "./DisplayPage";
