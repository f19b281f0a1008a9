export { StudyMenu } from "./StudyMenu";
