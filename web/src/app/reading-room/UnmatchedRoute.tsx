import { UnmatchedPage as List } from "@/features/reading";
import { StudyMenu } from "../study-menu";

/** Studies without an order; those who may delete images can do so from here. */
export function UnmatchedPage() {
  return <List menu={(studyUid) => <StudyMenu studyUids={[studyUid]} />} />;
}
